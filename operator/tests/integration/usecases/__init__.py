"""The use cases, with a real gateway and broker, and without Kubernetes."""
