"""The providers' own tests."""
