"""What the owners decided: which encryption an object gets. Pure."""
