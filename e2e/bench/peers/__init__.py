"""What does the same work, written as its own users would."""
