"""The commands of programs about a node, one module a verb."""
