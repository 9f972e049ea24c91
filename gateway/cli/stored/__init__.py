"""Stored bytes read without a gateway: from files, or from the store itself."""
