"""The daemon of a node: it observes, decides and acts, so that backups happen and heal without anybody's help.

`decide.py: decide` decides what is done next; it does not decide which node serves a service (`failover/`).
"""
