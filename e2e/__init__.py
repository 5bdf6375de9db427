"""End-to-end: the whole platform in real pods, and the demo that tells the same story."""
