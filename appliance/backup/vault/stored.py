"""The state of one generation of a replica, by which documents of it are there."""

from __future__ import annotations

from collections.abc import Container
from typing import NamedTuple

HEADER, LIST, RECEIPT, RELAY, BUCKET, DAMAGED = "header", "list", "receipt", "relay", "bucket", "damaged"
GIVEN_UP = "given-up"
"""The name of the receipt when a node that is no replica node any more gives a generation up
(`maintenance/former_replica.py`)."""


class Stored(NamedTuple):
    """A generation folder by its name. `held`: its files are all here; `damaged`: some are corrupt or gone; `pruned`:
    they were here and retention let them go; `given_up`: they were, and other holders have them in the place of this
    node. With none of these only its header is known."""

    name: str
    epoch: int
    sequence: int
    held: bool
    damaged: bool = False
    pruned: bool = False
    given_up: bool = False

    @property
    def listed(self) -> bool:
        """Its list is here and says what it is made of."""
        return self.held or self.damaged


def stored_of(name: str, parts: Container[str]) -> Stored | None:
    """The generation whose documents are `parts`; None without any of those that make one."""
    header, listing, receipt = HEADER in parts, LIST in parts, RECEIPT in parts
    if not (header or listing or receipt):
        return None
    listed = listing and receipt
    held = listed and header and DAMAGED not in parts
    epoch, sequence, _ = name.split(".")
    pruned, given_up = receipt and not listing, GIVEN_UP in parts and not receipt
    return Stored(name, int(epoch), int(sequence), held, listed and not held, pruned, given_up)
