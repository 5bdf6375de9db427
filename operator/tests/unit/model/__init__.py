"""The controller's words."""
