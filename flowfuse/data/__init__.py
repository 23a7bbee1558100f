"""Data Access: the database file and the classes that own its tables."""
