"""What protects stored objects, and how they get the protection that the rules of today ask for."""
