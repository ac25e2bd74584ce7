"""The verbs of `appliance pki`, one module each; `group.py` lists them."""
