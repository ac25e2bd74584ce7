"""The word of a writer that nothing changed since its newest generation, and of a replica node that it heard so.

Here are only the formats. `backup/vault/still.py` decides when a replica node takes one.
"""
