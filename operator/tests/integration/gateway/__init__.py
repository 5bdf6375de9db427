"""The publisher gateway against a real broker."""
