"""Thin I/O of the gateway."""
