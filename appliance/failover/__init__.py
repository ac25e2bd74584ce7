"""Which node serves a service: one table of transitions, and the program of each candidate that follows it.

The table decides: a node takes over by row `grace.take` of `fsm/waiting.py`, stops by `fsm/stopping.py`, serves and
hands over by `fsm/serving.py`. A majority of the voters must grant it (`voter/grant_rules.py: decide`). `act.py` begins
what was decided; `takeover_worker.py` is its worker for copies and decides nothing.
"""
