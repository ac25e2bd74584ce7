"""`make demo`: a small territory on this machine backs itself up, loses its nodes and gets everything back."""
