"""The receiving side at a peer: a forced command that can add and show, and has no verb to remove.

`access.py: check` decides what a caller may ask, `offer.py: check_writer` is the fence, `limits.py: check_room` decides
about room. `sealing/` signs receipts (`receipts.py: sign_receipt`), `maintenance/pruning.py` lets old generations go.
"""
