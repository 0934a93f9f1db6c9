"""A page that tells from the analysts' tables who waits, and how fast replies come."""
