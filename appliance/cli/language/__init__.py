"""The language of what commands print for people: English is written in the code, French is looked up at the edge."""
