"""Of the demo itself."""
