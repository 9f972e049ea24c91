module sealgate/bench/store

go 1.21
