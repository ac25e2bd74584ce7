"""The forms of services that move between nodes, and how each is served at one: sites, shares, databases, their people.

`form.py: Form` says what a form must answer, `known_forms.py: FORMS` lists all of them, and the steps to add one are in
docs/how-to/add-a-service-form.md.
"""
