"""The daemon of a node: it observes, decides and acts, so that backups happen and heal without anybody's help."""
