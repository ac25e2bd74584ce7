"""The verbs of `appliance portal`, one module each; `group.py` lists them."""
