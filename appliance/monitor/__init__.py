"""The judgement of a node, from one frozen view of it: never more than was seen, and what was not seen is not ok.

`status.py: judge` judges, `checks.py: CHECKS, ALERTS` say what each check asks and which answer is an alert, and
`alerts.yml` has the French text of each alert, and the rule of what only a server can see: absence and comparison.
"""
