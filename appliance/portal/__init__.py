"""The pages on which people of a town hall get their files back by themselves. Thin: what they show is found below."""
