"""Thin I/O of the auth service."""
