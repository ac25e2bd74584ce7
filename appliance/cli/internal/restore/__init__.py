"""What timers and the pages type about restores, one module a verb."""
