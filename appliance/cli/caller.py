"""The address from which the person who typed this came by SSH."""

from __future__ import annotations

import os

SSH_CLIENT = "SSH_CONNECTION"  # set by sshd: the client's address, its port, ours, our port


def caller_address() -> str:
    """The address of the client whose session this is; "" at the screen, and for a unit."""
    return os.environ.get(SSH_CLIENT, "").partition(" ")[0]
