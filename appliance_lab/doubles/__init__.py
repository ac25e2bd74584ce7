"""In-memory doubles of ports that are ours; the contract suites run them beside the real ones."""
