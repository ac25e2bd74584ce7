"""Sealed files belong to a separate account; only its process changes them and signs receipts.

On a host that process is the program `sealer_server.py`, which sessions ask by `sealer_client.py`; in process mode the
session does the same itself. Both end in `sealer_local.py: LocalSealer`, whose `publish` signs the receipt.
"""
