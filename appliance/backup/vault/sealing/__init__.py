"""Custody: what is sealed belongs to an account of its own, which alone changes it and signs receipts."""
