"""What scenarios and the demo are told with. Knows a kubeconfig and nothing of providers."""
