"""What nodes say to each other's vaults: push, fetch, hand on, and compare what each has."""
