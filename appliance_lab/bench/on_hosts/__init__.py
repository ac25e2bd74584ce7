"""Rows that boot a lab and watch its hosts."""
