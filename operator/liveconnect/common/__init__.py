"""What the three processes share: settings, logs, metrics, HTTP plumbing."""
