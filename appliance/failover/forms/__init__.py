"""The kinds of services that move between nodes, and how each is served at one: sites, shares, databases, their
people."""
