"""Images for the local provider, built without a registry."""
