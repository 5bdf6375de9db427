"""Pure decisions of the use cases."""
