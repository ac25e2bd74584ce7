"""Hosts, faults, workloads, checkers and scenarios: what proves the promises on real parts."""
