"""The judgement of a node, from one frozen view of it: never more than was seen, and what was not seen is not ok."""
