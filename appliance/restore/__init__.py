"""Find a file by name over all versions, and put it back without ever destroying what is there."""
