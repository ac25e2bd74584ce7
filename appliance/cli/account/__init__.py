"""The verbs of `appliance account`, one module each; `group.py` lists them."""
