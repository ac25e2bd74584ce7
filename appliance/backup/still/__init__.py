"""A run that finds nothing changed says so to the replica nodes, instead of making a generation (record 87).

`decide.py: decide` says whether it may, by a note of the last full run (`note.py`) and what this run sees (`look.py`).
"""
