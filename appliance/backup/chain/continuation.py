"""Whether the history that is known here continues a generation that was sealed here.

A node that gave a service up keeps what it has until this is known: the next writer may have gone on from an older
generation, by a signed act or as a former version.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from appliance.backup.chain.chain import Chain, chain_of
from appliance.backup.chain.history import previous_of
from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.store import HEADER, Replica
from appliance.errors import ApplianceError
from appliance.node.handle import Node

type Read = Callable[[str], bytes]
type Place = tuple[Chain | Replica, Read]


def is_orphaned(node: Node, service: str, generation: str) -> bool | None:
    """True where the first generation after the epoch of `generation`, its full name, continues another one; None while
    none is known here, or nothing of what it continues."""
    chain, replica = chain_of(node, service), replica_of(node, service)
    places: tuple[Place, ...] = ((chain, chain.raw_header), (replica, lambda name: replica.read(name, HEADER)))
    epoch, digest = generation.partition(".")[0], _digest(generation)
    later = [found for place in places if (found := _first_after(place, epoch))]
    previous = _previous(*min(later, key=lambda found: found[0])) if later else ""
    if previous == digest:
        return False
    return True if previous and any(_knows(place, previous) for place in places) else None


def _first_after(place: Place, epoch: str) -> tuple[str, Read] | None:
    """The first generation of a later epoch that is known in `place`, and how its header is read."""
    known, read = place
    with suppress(OSError, ApplianceError):  # none, or another account's
        if name := known.first_after(epoch):
            return name, read
    return None


def _knows(place: Place, digest: str) -> bool:
    with suppress(OSError, ApplianceError):
        return digest in map(_digest, place[0].names())
    return False


def _previous(name: str, read: Read) -> str:
    """The parent of the generation, as its name has it; "" where that cannot be read. The header was checked when it
    came."""
    try:
        return previous_of(read(name))[:16]
    except (OSError, ApplianceError):
        return ""


def _digest(name: str) -> str:
    return name[-16:]
