"""The lease on each service, as a majority of the voters agrees: the port and etcd behind it.

One transaction decides which of several nodes gets it (`requests.py: acquire`); `outcomes.py` says what its answer
means. Whether a node tries to get it, `failover/fsm/waiting.py` decides.
"""
