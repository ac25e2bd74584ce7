"""The conversations of nodes with each other's vaults: push, fetch, hand on, and compare what each has.

`safety.py: judge` decides whether a backup is safe, `absence_rule.py: proven_absent` whether a node counts as lost.
"""
