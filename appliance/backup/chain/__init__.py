"""The signed history of a service: generations, grants, and who may continue them.

`seal.py: seal` makes a generation; `retention.py: prune, prune_early` decide which ones a replica keeps.
"""
