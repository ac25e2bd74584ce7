"""The verbs of `appliance node`, one module each; `group.py` lists them."""
