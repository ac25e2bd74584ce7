"""Find a file by name over all versions, and put it back without ever destroying what is there.

`everywhere.py: find, find_versions` find a file and list its versions, `jobs.py: run` puts back, `undo.py: undo`
undoes.
"""
