"""Writes that the service's present history does not have: found, kept, saved and merged.

`merge.py: plan_merge` decides how two histories become one; a person begins it.
"""
