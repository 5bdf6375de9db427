"""The stand-in against what real VerneMQ was recorded to do."""
