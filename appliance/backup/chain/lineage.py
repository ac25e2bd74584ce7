"""Is this node the one that wrote last, or an older image of it? Its peers can tell, and so can this file.

It lies beside the state folder, not in it, so that restoring the folder from an image does not bring it back too;
with the machine's id in it, a clone does not pass either. It names the newest sealed generation and the highest epoch
of one, and it is written before a byte of that leaves: what was never sent can do no harm with its counters.

A peer that answers may not have got the newest one, so what this machine remembers is asked first, always; when no
peer answers, this machine must be able to show that it remembers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from typing import Any

from appliance.backup.chain.chain import Chain, Sealed
from appliance.backup.chain.rollback import PeerIsAhead, look_first
from appliance.errors import Refused
from appliance.host.files import locked, write_atomic
from appliance.host.identity import machine_id
from appliance.node.handle import Node


def remember(node: Node, service: str, sealed: Sealed) -> None:
    """Write down what was just sealed, before it is sent."""
    _change(node, service, lambda known: sealed)


def remember_cut(node: Node, service: str, chain: Chain, sealed: Sealed) -> None:
    """The same for what runs sealed that were cut before they could; never back to an older one.

    Raise PeerIsAhead when this machine remembers a generation that `sealed` does not continue: the folder is an older
    image, and what it holds may have been sealed with counters that were used for something else since.
    """

    def newest(known: str | None) -> Sealed | None:
        if known is not None and not chain.leads_from(known, sealed.header.id):
            raise _older_image(service)
        return sealed if known else None

    _change(node, service, newest)


def sealed_under(node: Node, service: str) -> int:
    """The highest epoch under which this machine remembers to have sealed or adopted `service`; 0 for none."""
    return int(_content(node).get("epochs", {}).get(service, 0))


def prove(
    node: Node, service: str, chain: Chain, newest: Sealed | None, *, answered: Collection[str], silent: Collection[str]
) -> None:
    """Raise PeerIsAhead when this machine remembers a generation that `newest` does not continue.

    When no peer `answered`, Refused too unless `newest` is the last one that was sealed here. A machine that remembers
    nothing of a service that was sealed may be a clone: all peers must answer it, none be `silent`.
    """
    known = _load(node).get(service)
    if known is None:
        proven = newest is None or bool(answered and not silent)
    elif newest is None or not chain.leads_from(known, newest.header.id):
        raise _older_image(service)
    else:
        # The one after the remembered may be a run's that was cut between sealing and remembering: nothing left.
        proven = bool(answered) or known in (newest.header.id.digest, newest.header.previous)
    if not proven:
        raise Refused(
            f"{_who(answered, silent)}, and nothing here proves that this is not an older image or a clone of "
            f"{node.name}.",
            remedy="The backup waits until they answer; borg must not write until then (counters could be used twice).",
        )


def _older_image(service: str) -> PeerIsAhead:
    return PeerIsAhead(
        f"this machine sealed a newer generation of {service} than its state folder has: the folder is an older image.",
        remedy=look_first(service),
    )


def _who(answered: Collection[str], silent: Collection[str]) -> str:
    return f"not all peers answer (missing: {', '.join(silent)})" if answered else "no peer answers"


def _change(node: Node, service: str, newest: Callable[[str | None], Sealed | None]) -> None:
    """Several services of a node are sealed at once and share the file."""
    path = node.layout.lineage
    with locked(path.with_name(f"{path.name}.lock"), what="the lineage of this machine", wait=True):
        content = _content(node)
        known = content.get("newest", {})
        sealed = newest(known.get(service))
        if sealed is None or sealed.header.id.digest == known.get(service):
            return
        epochs = content.get("epochs", {})
        highest = max(epochs.get(service, 0), sealed.header.epoch)
        text = json.dumps(
            {
                "machine": machine_id(),
                "newest": {**known, service: sealed.header.id.digest},
                "epochs": {**epochs, service: highest},
            }
        )
        write_atomic(path, text.encode() + b"\n", mode=0o600)


def _load(node: Node) -> dict[str, str]:
    return dict(_content(node).get("newest", {}))


def _content(node: Node) -> dict[str, Any]:
    """Return the content of the file; nothing when there is none of this machine."""
    try:
        content = json.loads(node.layout.lineage.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return dict(content) if content.get("machine") == machine_id() else {}
