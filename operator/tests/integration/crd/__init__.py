"""The CRD in a real API server."""
