"""The verbs of `appliance restore`, one module each; `group.py` lists them."""
