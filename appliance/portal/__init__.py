"""The pages on which people of a town hall get their files back by themselves. Thin: what they show is found below.

`pages/` has a module for each page, `templates/` its HTML in French; `shares.py: shares_of` decides what a person may
see.
"""
