"""The lease on each service, as a majority of the voters agrees: the port, a store in memory, and etcd."""
