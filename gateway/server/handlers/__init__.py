"""One file per family of operations: what happens between an authorised request and its answer."""
