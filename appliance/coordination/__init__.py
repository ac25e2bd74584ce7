"""Who may write a service now, as a majority of the voters agrees: the port, a store in memory, and etcd."""
