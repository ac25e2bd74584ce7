"""Verbs of the command line that only a developer's or a researcher's machine has."""
