"""The checkers of a run: the promises of failover in a history, and whether a restored folder is what was there."""
