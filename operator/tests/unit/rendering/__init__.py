"""Rendering of whatever the API accepts."""
