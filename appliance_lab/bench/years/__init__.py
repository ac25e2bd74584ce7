"""Years of hourly backups in minutes: what ten years leave on nodes, and what looks, backups and takeovers then cost.

`eras.py` says which node wrote when, `granting.py` and `past.py` sign grants and generations, `left.py` writes what
retention leaves of them, and `ground.py` puts it into a territory of processes.
"""
