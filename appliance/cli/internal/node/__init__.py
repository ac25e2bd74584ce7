"""What programs type about a node, one module a verb."""
