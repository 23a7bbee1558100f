"""Node types of the family actions."""
