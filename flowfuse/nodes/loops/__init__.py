"""Node types of the family loops."""
