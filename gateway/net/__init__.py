"""Encrypted connections: TLS straight on the socket."""
