"""Stored objects that do not have the encryption that their rules ask for, listed for people and for programs."""
