"""The programs of a voter: the broker that judges leases and signs grants, and the maintenance of the etcd beside
it."""
