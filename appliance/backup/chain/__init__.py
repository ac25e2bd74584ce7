"""The signed history of a service: generations, grants, and who may continue them."""
