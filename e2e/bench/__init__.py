"""How fast and how small, against peers in the same run; never a test with a time limit."""
