"""How much a service would have and how much of it changes in a day, measured before anything backs it up.

`walk.py` looks at folders, `looks.py` remembers one look a day, `estimate.py: draft` decides the figures.
"""
