"""The verbs of `appliance failover`, one module each; `group.py` lists them."""
