"""The command line as a plugin of kubectl."""
