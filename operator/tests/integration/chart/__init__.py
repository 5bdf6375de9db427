"""The chart in a real API server."""
