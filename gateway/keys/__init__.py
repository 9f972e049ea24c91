"""Keys and secrets: from vaults, and from providers that wrap data keys.

This room asks HashiCorp Vault or OpenBao for secrets, wraps and unwraps the data keys of sealed objects, holds keys
for a bounded time, and refuses keys that are not random. It writes nothing to a vault, follows no redirect, and never
puts a token or a key into an error, a log or a metric.
"""
