"""Order status: pushed when it changes, instead of asked for again and again."""
