"""borg 1.4 behind typed values and named errors; borg is always run as a command, never imported."""
