"""Listeners, the pipeline and its handlers."""
