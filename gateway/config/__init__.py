"""The configuration: its options, how they are checked, and what the other rooms get from them."""
