"""Headers whose generation never came, of epochs that ended. They count in the quota like all else, and they go once
nothing here leads back to them.

A writer was deposed in mid-push and began elsewhere, or an attacker who had its keys filled its quota with headers.

Invariant: all before a header that is here is here. A sender leaves out what leads to a tip that it was shown
(`backup/peers/push.py`, `backup/peers/replicate.py`), and a fetched chain is followed to its first header. So a header
that stays keeps all before it, those that lead on go first, and nothing goes while a header that stays has a gap.

A header of an epoch that goes on stays: a writer that was rolled back or cloned learns from it that it was, before it
uses a counter of the cipher twice, and a fork shows by it. An epoch has ended once a generation of a later one has been
held here for a whole lock, by this node's ageing clock. A header that went comes again with its generation.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from itertools import groupby

from appliance.backup.chain.history import remove_folder
from appliance.backup.vault.evidence import read_own_receipt
from appliance.backup.vault.header_parts import leading_to, previous_by_name
from appliance.backup.vault.maintenance import damage
from appliance.backup.vault.store import LIST, Replica
from appliance.backup.vault.stored import Stored
from appliance.errors import ApplianceError
from appliance.host.files import fsync_folder
from appliance.node.handle import Node
from appliance.trust.generation import NO_PARENT


def abandoned(previous: Mapping[str, str], bare: Collection[str], epoch: int) -> tuple[str, ...]:
    """Which generations of epochs before `epoch` may be forgotten of those that are `bare`: of which only a header is
    here. Those that lead on come first. Pure.

    `previous` has for each that is known the start of the digest of the header before it.
    """
    able = {name for name in bare if epoch_of(name) < epoch}
    stays = leading_to(previous, previous.keys() - able)
    known = {NO_PARENT[:16], *(name[-16:] for name in previous)}
    if not able or any(previous[name] not in known for name in stays):
        return ()
    return tuple(sorted(able - stays, reverse=True))


def epoch_of(name: str) -> int:
    return int(name.partition(".")[0])


def choose(node: Node, replica: Replica, lock_seconds: int) -> tuple[str, ...]:
    """The names of what is forgotten now, in this order; folders that a cut left empty are among them."""
    stored = replica.stored()
    bare = {item.name for item in stored if _is_bare(replica, item)}
    empty = set(replica.folders()) - {item.name for item in stored}
    if not bare and not empty:
        return ()
    epoch = _going_on_since(node, replica, stored, lock_seconds)
    left_out = {name for name in empty if epoch_of(name) >= epoch}  # it keeps nothing, nor does it stop anything
    previous = {name: before for name, before in previous_by_name(replica).items() if name not in left_out}
    return abandoned(previous, bare | (empty - left_out), epoch)


def forget(replica: Replica, names: Iterable[str]) -> int:
    """Remove these, in this order, and what is known to be wrong with them; how many went. The lock is held."""
    names = tuple(names)
    for name in names:
        if (folder := replica.generations / name).exists():
            remove_folder(folder)
    if not names:
        return 0
    fsync_folder(replica.generations)
    replica.history.remove(names)
    gone = {name for name in names if replica.find(name) is None}
    damage.forget(replica, gone)
    return len(gone)


def _is_bare(replica: Replica, item: Stored) -> bool:
    """A list whose receipt never came goes first, as one of the remains."""
    return not (item.listed or item.pruned or item.given_up or replica.path(item.name, LIST).exists())


def _going_on_since(node: Node, replica: Replica, stored: Iterable[Stored], lock_seconds: int) -> int:
    """The newest epoch whose first generation here came a whole lock ago; 0 when there is none."""
    now, newest = node.ageing.now(), 0
    for epoch, items in groupby(stored, key=lambda item: item.epoch):
        first = next((item for item in items if item.listed or item.pruned), None)
        if first and now - _received(node, replica, first.name) >= lock_seconds:
            newest = epoch
    return newest


def _received(node: Node, replica: Replica, name: str) -> float:
    """The ageing clock at our own receipt; what cannot be read is never old."""
    try:
        return read_own_receipt(node, replica, name).age_seconds
    except ApplianceError:
        return math.inf
