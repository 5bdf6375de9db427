"""The controller's shell, where no API server is needed."""
