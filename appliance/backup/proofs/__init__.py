"""Proofs that a service can be read and brought back, tried and noted."""
