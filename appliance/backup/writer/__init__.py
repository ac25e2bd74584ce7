"""A backup run at the writer of a service: what it reads, saves, notes, forgets and repairs.

`writer.py: run` is one run, `schedule.py: due` decides when, `keep.py: keep` decides which archives stay.
"""
