"""The whole platform in real pods, seen from outside."""
