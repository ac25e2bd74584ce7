"""Who works at a town hall: one store of accounts, kept by the node, that feeds whatever asks for a password."""
