"""Objects that the gateway seals and opens itself: mode ``cse``."""
