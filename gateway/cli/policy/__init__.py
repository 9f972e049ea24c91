"""The commands of ``sealgate policy``."""
