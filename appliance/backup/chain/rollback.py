"""The record that a peer is ahead of the writer here, left on the disk for `status`: nobody else would see it.

    sight/SERVICE.overtaken   what was found, in the sentence that refused it, and at which peer

The finder writes it: a run, a push, an exchange. It goes once the service was continued, or once a comparison with that
very peer finds nothing: another one that knows less proves nothing.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from appliance import typed
from appliance.backup.peers.elsewhere import comes_back, given_away, is_candidate, moves
from appliance.errors import Refused
from appliance.host.files import make_private_folder, write_atomic
from appliance.node.handle import Node


class PeerIsAhead(Refused):
    """`peer` knows a newer history of the service than this node; "" when this machine itself remembers one. `writer`:
    who was granted a newer epoch, "" where it is another history of this node's own."""

    def __init__(self, what: str, *, remedy: str, peer: str = "", writer: str = "") -> None:
        super().__init__(what, remedy=remedy)
        self.peer = peer
        self.writer = writer


def look_first(service: str) -> str:
    """Return what to type about it: to continue unseen from what an attacker wrote makes it the service's own."""
    again = typed.resync(service)
    return (
        f"First see which is the newest: `{again} --dry-run`. Then continue from it, or with --generation from the "
        f"last good one, under a new grant: `{again}`."
    )


@contextmanager
def recorded(node: Node, service: str) -> Iterator[None]:
    """Leave what is found within, before it is raised on."""
    try:
        yield
    except PeerIsAhead as found:
        record_rollback(node, service, found)
        raise


def is_given_away(node: Node, service: str) -> bool:
    """Whether territory.yml gives `service` to another node, which has gone on with it."""
    return not is_candidate(node, service) and load(node, service) is not None


def _answer(node: Node, service: str, found: PeerIsAhead) -> str:
    """Return what to do about it here: a new grant takes the service from its present writer, which is seldom meant."""
    if not is_candidate(node, service):
        return given_away(node, service)
    if found.writer and moves(node, service):
        return comes_back(node, service)
    return found.remedy


def record_rollback(node: Node, service: str, found: PeerIsAhead) -> None:
    """Leave `found` for `status`, with what to do about it at this node."""
    found.remedy = _answer(node, service, found)
    path = _path(node, service)
    make_private_folder(path.parent)
    content = {"peer": found.peer, "what": found.what, "remedy": found.remedy}
    raw = json.dumps(content, ensure_ascii=False).encode() + b"\n"
    if not path.exists() or path.read_bytes() != raw:
        write_atomic(path, raw, mode=0o600)
        node.journal.write("overtaken", service=service, peer=found.peer)


def forget(node: Node, service: str, answered: Collection[str] | None = None) -> None:
    """Nothing is known any more that this node has not; unless who knew it is not among those who `answered` now."""
    found = load(node, service)
    gone = found is not None and found.peer not in node.bundle.members  # this machine's own memory has no peer
    if found and (answered is None or gone or found.peer in answered):
        _path(node, service).unlink(missing_ok=True)


def load(node: Node, service: str) -> PeerIsAhead | None:
    """Return the finding that stands; a note that cannot be read still says that there was one."""
    try:
        content = json.loads(_path(node, service).read_bytes())
        return PeerIsAhead(str(content["what"]), remedy=str(content["remedy"]), peer=str(content["peer"]))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        return PeerIsAhead(
            f"a peer or this machine's lineage knows a newer history of {service} than this state folder.",
            remedy=look_first(service),
        )


def _path(node: Node, service: str) -> Path:
    return node.layout.last_seen / f"{service}.overtaken"
