"""Measurements of the gateway beside direct access to the store."""
