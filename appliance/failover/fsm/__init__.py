"""The table of transitions and what decides by it. Pure."""
