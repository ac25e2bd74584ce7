"""A node as everything else sees it: who it is, its bundle, the acts and the failover state that it keeps."""
