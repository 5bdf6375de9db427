"""The controller's words: names, manifests, what was observed, what may be done. Pure."""
