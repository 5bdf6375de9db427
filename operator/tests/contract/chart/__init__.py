"""The chart and the permissions, as rendered."""
