"""The maintenance of a vault: check, repair, let go of what retention ends, free a full quota.

`pruning.py: prune_replica` is the only way by which a generation leaves a replica; `backup/chain/retention.py` decides
which.
"""
