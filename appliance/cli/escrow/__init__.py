"""The verbs of `appliance escrow`, one module each; `group.py` lists them."""
