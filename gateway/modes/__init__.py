"""One file per encryption mode: what goes upstream, and what proves that it worked. Pure."""
