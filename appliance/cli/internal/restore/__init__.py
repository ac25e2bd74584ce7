"""The commands of timers and the pages about restores, one module a verb."""
