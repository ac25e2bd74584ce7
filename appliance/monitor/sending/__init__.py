"""The deliveries of the queue: for each addressee apart, so that none waits for another."""
