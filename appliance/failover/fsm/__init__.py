"""The table of transitions and what decides by it. Pure.

`table.py: decide` takes the first row that holds: `waiting.py` has the rows by which a node takes over, `serving.py`
those by which it serves and hands over, `stopping.py` those by which it stops. `guards.py` and `facts.py` say when a
row holds.
"""
