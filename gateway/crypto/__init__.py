"""Formats of client-side encryption. Pure: bytes in, bytes out."""
