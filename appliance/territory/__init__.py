"""Sites, nodes, services and what can happen to them: a pure model, where copies go, and what survives which event.

`placement.py: place` decides where copies go, `service_forms.py: form_of` in which form a service is served.
"""
