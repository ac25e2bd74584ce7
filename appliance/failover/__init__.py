"""Which node serves a service: one table of transitions, and the program of each candidate that follows it."""
