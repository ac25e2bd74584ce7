"""Seal what compaction left of a repository, so that the room which it made is there.

The folder of the newest sealed generation names every segment, so what compaction unlinks takes its room until the next
generation is sealed; and a run that the full disk stops seals none. A generation that is sealed for this reason holds
no newer state: its header repeats the time of the one before, by which everybody judges how old a backup is.

Others may fill the same disk to its last byte, and borg writes before it forgets. So the node keeps a file back
(`keep_room`), which is given up for that (`with_room`); who fills the disk at that very moment has it, and then only a
person can make room.

Where even that is not enough, what only the sealed folder still names is let go. That generation
can then not be sent any more, which the next one makes good: nothing but what was forgotten is missing in it.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable

from appliance.backup.chain.chain import Chain, Sealed
from appliance.backup.chain.lineage import remember
from appliance.backup.chain.seal import is_compacting, seal
from appliance.backup.peers.last_seen import lost_now
from appliance.backup.peers.readers import replica_nodes_read
from appliance.backup.still.heard import heard, still_of
from appliance.backup.writer import saved
from appliance.borg.folder import index_bytes, reserve_lifted, room_wanted
from appliance.clock import utc_text
from appliance.errors import NoSpace
from appliance.host.disks import reserve
from appliance.host.layout import ServiceLayout
from appliance.node.handle import Node
from appliance.trust.grant import Grant
from appliance.units import MIB

PINNED_BYTES_MIN = MIB
"""Less is not worth a generation: each compaction takes some segments of a few bytes away."""
KEPT_BYTES, KEPT_INDEXES = 32 * MIB, 6
"""To forget and to compact, borg wants a small segment, its largest chunk and four times its index to be free; with its
own copy of the index and what peers answer there is some to spare."""
FULL = (errno.ENOSPC, errno.EDQUOT)


def seal_compacted(node: Node, service: str, chain: Chain, grant: Grant) -> Sealed | None:
    """Seal the repository of `service` when only its newest generation still names much that compaction took away.

    The caller holds the service's lock and has compared its lineage: this is a generation like any other.
    """
    layout, newest = node.service(service), chain.newest()
    if newest is None or not is_compacting(layout) or _pinned_bytes(layout, newest) < PINNED_BYTES_MIN:
        return None
    # Its newest archive is the same, and so is the moment of which that holds the state.
    still = still_of(node, service, chain, heard(node, service), lost_now(node, service), newest.header.id)
    return seal_with_room(node, service, chain, grant, time=max(newest.header.time, utc_text(still)))


def seal_with_room(node: Node, service: str, chain: Chain, grant: Grant, *, time: str = "") -> Sealed:
    """Seal what the repository has as the next generation, and have this machine remember it."""
    layout, now = node.service(service), node.clock.now()
    newest = chain.newest()
    said = saved.newest(layout, newest.header if newest else None) if replica_nodes_read(layout, 2) else None
    words = (layout, chain, grant, layout.envelopes, node.signing_key, now)
    sealed = with_room(node, service, lambda: seal(*words, time=time, completeness=said))
    remember(node, service, sealed)
    return sealed


def with_room[Result](node: Node, service: str, act: Callable[[], Result]) -> Result:
    """Return the result of `act`, which makes room; when the disk is full, it is tried again with the room kept back,
    and then without the files that only sealed folders name."""
    while True:
        try:
            return act()
        except (NoSpace, OSError) as error:
            if not (isinstance(error, NoSpace) or error.errno in FULL) or not _gave_room(node, service):
                raise


def with_reserve[Result](node: Node, service: str, act: Callable[[], Result]) -> Result:
    """The same with borg's own reserve lifted."""

    def lifted() -> Result:
        with reserve_lifted(node.service(service).repository):
            return act()

    return with_room(node, service, lifted)


def _gave_room(node: Node, service: str) -> bool:
    return reserve.give(node.layout.services_reserve) or bool(_let_go(node.service(service)))


def keep_room(node: Node, service: str) -> None:
    """Keep room back for the day on which the disk is full, as long as a backup has the room that borg wants."""
    repository = node.service(service).repository
    size = KEPT_BYTES + KEPT_INDEXES * index_bytes(repository)
    reserve.keep(node.layout.services_reserve, size, leave_bytes=room_wanted(repository))


def _pinned_bytes(layout: ServiceLayout, newest: Sealed) -> int:
    """How much the sealed segments take that are not in the repository any more."""
    segments = (entry for entry in newest.entries if entry.path.startswith("data/"))
    return sum(entry.size for entry in segments if not (layout.repository / entry.path).exists())


def _let_go(layout: ServiceLayout) -> int:
    """How many files of sealed folders went that the repository has no more, when compaction was announced.

    Without that they would be lost segments, of which this is the last copy here.
    """
    if not is_compacting(layout):
        return 0
    count = 0
    shutil.rmtree(layout.sealed / ".new", ignore_errors=True)
    for path in layout.sealed.glob("*/data/*/*"):
        if not (layout.repository / path.relative_to(path.parents[2])).exists():
            os.unlink(path)
            count += 1
    return count
