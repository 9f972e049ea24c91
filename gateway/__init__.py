"""Sealgate: a transparent encrypting gateway for Amazon S3."""

__version__ = "0.1.0"
