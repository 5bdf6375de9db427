"""Thin I/O: the Kubernetes API and the brokers' management API."""
