"""The formats that are signed, and their checks: bundle, grant, generation header and list, receipt, act.

`granters.py: Granters.read` decides whether a grant counts; a broker decides whether to sign one
(`voter/grant_rules.py`).
"""
