"""Generations of an earlier epoch that peers hold and the present history does not continue.

A takeover that nobody planned goes on from the newest generation of those that answer: what a silent peer alone had is
passed over, though it was safe. When that peer is back its heads show it, and a person is told what can be restored.

    sight/SERVICE.left-behind   by peer, the newest such generation of each epoch, and when one was seen first
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from appliance.backup.chain.chain import Chain
from appliance.errors import ApplianceError
from appliance.host.files import make_private_folder
from appliance.host.records import Record
from appliance.node.handle import Node
from appliance.trust.generation import fields_of
from appliance.units import DAY

SHOWN_SECONDS = 14 * DAY
"""From when it was seen first: what nobody restored by then nobody misses, or a person gave it up by an act."""


@dataclass(frozen=True)
class OrphanedGenerations:
    since: float = 0.0
    peers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


ORPHANED = Record(OrphanedGenerations)


def orphaned(chain: Chain, held: Collection[str]) -> tuple[str, ...]:
    """Return the newest generation of each earlier epoch among those `held` by a peer, where it is newer than the one
    from which the history of `chain` went on. An epoch for which that one is unknown here is left out."""
    newest = {name.partition(".")[0]: name for name in sorted(held)}
    continued = _continued(chain)
    return tuple(name for epoch, name in newest.items() if epoch in continued and name[:16] > continued[epoch][:16])


def _continued(chain: Chain) -> dict[str, str]:
    """By epoch, as names have it, the last generation that the first one of the next epoch continues; "" for an epoch
    that was skipped."""
    names = chain.names()
    first = {name.partition(".")[0]: name for name in reversed(names)}
    by_digest, found = {name[-16:]: name for name in names}, dict[str, str]()
    for epoch, after in pairwise(sorted(first)):
        last = by_digest.get(_previous(chain.root / first[after]), "")
        if last:
            found[epoch] = last if last.startswith(f"{epoch}.") else ""
    return found


def _previous(folder: Path) -> str:
    try:
        return str(fields_of((folder / "header").read_bytes())["previous"])[:16]
    except (OSError, ApplianceError):
        return ""


def note_orphaned(node: Node, service: str, chain: Chain, held: Mapping[str, Collection[str]]) -> None:
    """Keep what each peer that answered, with what it holds, has of that; say it in the journal once."""
    before = _load(node, service)
    peers = {**before.peers, **{peer: orphaned(chain, names) for peer, names in held.items()}}
    peers = {peer: names for peer, names in sorted(peers.items()) if names}
    if peers == before.peers:
        return
    if not peers:
        _path(node, service).unlink(missing_ok=True)
        return
    known = {name for names in before.peers.values() for name in names}
    new = {name: peer for peer, names in peers.items() for name in names if name not in known}
    since = node.clock.now() if new else before.since
    make_private_folder(_path(node, service).parent)
    ORPHANED.save(_path(node, service), OrphanedGenerations(since, peers))
    for name, peer in new.items():
        node.journal.write("left-behind", service=service, generation=name, peer=peer)


def orphaned_notice(node: Node, service: str) -> tuple[str, str]:
    """Return a sentence about it and a command to type; empty while there is nothing to say."""
    found = _load(node, service)
    if not found.peers or node.clock.now() > found.since + SHOWN_SECONDS:
        return "", ""
    peer, names = next(iter(found.peers.items()))
    epoch, sequence, _ = names[-1].split(".")
    number = f"{int(epoch)}.{int(sequence)}"
    what = (
        f"{peer} holds generation {number}, which the present history does not continue: that node did not answer when "
        "the service was taken over, or an operator gave that generation up."
    )
    return what, f"See its content: `appliance restore detect-attack --service {service} --from generation:{number}`."


def _load(node: Node, service: str) -> OrphanedGenerations:
    return ORPHANED.load_or(_path(node, service), OrphanedGenerations())


def _path(node: Node, service: str) -> Path:
    return node.layout.last_seen / f"{service}.left-behind"
