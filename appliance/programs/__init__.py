"""Programs that run alone, under root or beside what they watch, with nothing of ours but the standard library."""
