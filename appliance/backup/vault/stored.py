"""What is known of one generation in a holding, told by which documents of it are there."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

HEADER, LIST, RECEIPT, RELAY, BUCKET, DAMAGED = "header", "list", "receipt", "relay", "bucket", "damaged"


@dataclass(frozen=True)
class Stored:
    """A generation folder by its name. `held`: its files are all here; `damaged`: some are rotten or gone; `thinned`:
    they were here and retention let them go; with none of these only its header is known."""

    name: str
    epoch: int
    sequence: int
    held: bool
    damaged: bool = False
    thinned: bool = False

    @property
    def listed(self) -> bool:
        """Its list is here and says what it is made of."""
        return self.held or self.damaged


def stored_of(name: str, parts: Container[str]) -> Stored | None:
    """The generation whose documents are `parts`; None without any of those that make one."""
    epoch, sequence, _ = name.split(".")
    header, listing, receipt = (part in parts for part in (HEADER, LIST, RECEIPT))
    if not (header or listing or receipt):
        return None
    listed = listing and receipt
    held = listed and header and DAMAGED not in parts
    return Stored(name, int(epoch), int(sequence), held, damaged=listed and not held, thinned=receipt and not listing)
