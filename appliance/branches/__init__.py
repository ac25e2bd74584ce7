"""Writes that the service's present history does not have: found, kept, saved and merged."""
