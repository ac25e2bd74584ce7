"""Stories on real hosts: one promise each, shown end to end. A step is a small function of a module of its own."""
