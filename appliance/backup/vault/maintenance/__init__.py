"""The maintenance of a vault: check, repair, let go of what retention ends, free a full quota."""
