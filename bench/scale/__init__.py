"""What the gateway does with many connections, slow clients, long transfers, and more requests than it can serve."""
