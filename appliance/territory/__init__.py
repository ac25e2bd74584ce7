"""Sites, nodes, services and what can happen to them: a pure model, where copies go, and what survives which event."""
