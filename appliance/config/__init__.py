"""`territory.yml` as people write it: read with line numbers, checked whole, turned into `territory.model`."""
