"""The row of a run in which nothing changed."""
