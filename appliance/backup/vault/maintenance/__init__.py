"""What a vault does with what it has: check, repair, let go of what retention ends, free a full share."""
