"""What a voter runs: the broker that judges leases and signs grants, and the care of the etcd beside it."""
