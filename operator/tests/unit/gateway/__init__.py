"""The publisher gateway: its pure half."""
