"""How nodes join and leave: the bundle in force, replaced machines, revoked keys, who may connect to the vault."""
