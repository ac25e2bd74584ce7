"""Look into a file before it is brought back: read by a process that can reach nothing, shown as pictures and text."""
