"""The verbs of `appliance backup`, one module each; `group.py` lists them."""
