"""Node types of the family conditions."""
