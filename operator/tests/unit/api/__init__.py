"""CRD, reference, models."""
