"""The people of a town hall: one store of accounts, kept by the node, that feeds every program that asks for a
password."""
