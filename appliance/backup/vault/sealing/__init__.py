"""Custody: what is sealed belongs to an account of its own, which alone changes it and signs receipts.

On a host that is the program `sealer_server.py`, which sessions ask by `sealer_client.py`; in process mode the session
does the same itself. Both end in `sealer_local.py: LocalSealer`, whose `publish` signs the receipt.
"""
