"""Bucket policies in IAM's language: parsed, compiled and evaluated. Pure."""
