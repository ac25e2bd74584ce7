"""The verbs of `appliance voter`, one module each; `group.py` lists them."""
