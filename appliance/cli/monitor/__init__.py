"""The verbs of `appliance monitor`, one module each; `group.py` lists them."""
