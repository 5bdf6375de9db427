"""Kubernetes to test on: `kind` where Docker works, otherwise real components on this machine."""
