"""The receiving side at a peer: a forced command that can add and show, and has no verb to remove."""
