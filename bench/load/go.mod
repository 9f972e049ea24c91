module sealgate/bench/load

go 1.21
