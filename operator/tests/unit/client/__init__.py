"""The client of backends."""
