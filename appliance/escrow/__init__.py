"""Keys kept where no node is: envelopes that travel with every generation, and the recovery key, which is paper."""
