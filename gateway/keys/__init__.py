"""Keys and secrets from vaults."""
