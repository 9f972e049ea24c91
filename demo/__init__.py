"""The demonstration: a store, a vault and the gateway on this machine, and every encryption mode shown with proof."""
