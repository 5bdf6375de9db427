"""What `make` runs: generators and their checks."""
