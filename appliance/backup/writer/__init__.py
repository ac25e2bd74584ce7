"""A backup run at the writer of a service: what it reads, saves, notes, forgets and repairs."""
