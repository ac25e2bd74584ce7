"""The dashboards for who maintains a monitoring node: the worst town first, a map, a page for each service."""
