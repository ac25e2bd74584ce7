"""Verbs that units, playbooks and the agent type; `group.py` lists them."""
