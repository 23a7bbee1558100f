"""Node types of the family triggers."""
