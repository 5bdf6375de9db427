"""`make demo`: LiveConnect from nothing to a message on a phone."""
