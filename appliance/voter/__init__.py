"""The programs of a voter: the broker that judges leases and signs grants, and the maintenance of the etcd beside it.

`grant_rules.py: decide` decides whether this broker signs that a node may write from now on; `broker.py: check_claim`
decides whether a claim on a lease reaches the voters' store.
"""
