"""The verbs of `appliance territory`, one module each; `group.py` lists them."""
