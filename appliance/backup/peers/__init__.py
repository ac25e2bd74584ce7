"""The conversations of nodes with each other's vaults: push, fetch, hand on, and compare what each has."""
