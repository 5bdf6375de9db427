"""`kubectl liveconnect`: the command line. Decides by the very functions that the services use."""
