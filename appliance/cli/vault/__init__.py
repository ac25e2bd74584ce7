"""The verbs of `appliance vault`, one module each; `group.py` lists them."""
