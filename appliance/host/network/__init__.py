"""The machine's network: namespaces, packet filter, WireGuard, names, SSH and the hosts that it knows."""
