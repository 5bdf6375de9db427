"""Decisions: pure functions from what was observed to what shall be done. No I/O, no clock."""
