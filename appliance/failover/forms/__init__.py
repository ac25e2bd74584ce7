"""What moves between nodes, and how it is served at one: sites, shares, databases and their people."""
