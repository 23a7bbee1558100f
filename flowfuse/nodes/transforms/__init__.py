"""Node types of the family transforms."""
