"""Take a still, the word of the writer that nothing changed since the newest generation held here, and sign for it.

    still   beside the generations: JSON of the newest statement and of our receipt

Invariant: a replay keeps nobody fresh. The statement is of the newest grant's writer, about the newest generation,
which is held whole, made now, and later than the one before it by number and by time; the one that is here gets the
receipt that it has. A receipt says nothing but which statement was taken, and so makes nothing look fresher.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.backup.vault.store import Replica
from appliance.backup.vault.stored_grants import granters_at
from appliance.clock import SKEW_SECONDS_MAX, utc_seconds, utc_text
from appliance.errors import IntegrityError, NotFound, Refused
from appliance.host.files import write_atomic
from appliance.node.handle import Node
from appliance.trust.bundle import Bundle
from appliance.trust.generation import GenerationId
from appliance.trust.grant import Grant
from appliance.trust.keys import load_key
from appliance.trust.still.receipt import make_still_receipt
from appliance.trust.still.statement import BYTES_MAX, Still, read_still

PART = "still"


@dataclass(frozen=True)
class TakenStill:
    """The newest statement that was taken, and the receipt that was signed for it, as they were stored."""

    statement: bytes
    receipt: bytes


def take_still(node: Node, replica: Replica, service: str, raw: bytes, key: Path) -> bytes:
    """Keep the statement `raw` and return our receipt, signed by the key in the file `key`; the caller holds the pool's
    lock. Raise as `check_statement`."""
    said = check_statement(node, replica, service, raw)
    if (taken := load_taken(replica)) and _is_same(taken, said):
        return taken.receipt
    receipt = make_still_receipt(
        load_key(key), holder=node.name, still=said, time=utc_text(node.clock.now()), age_seconds=node.ageing.now()
    )
    fields = {"statement": raw.decode(), "receipt": receipt.decode()}
    write_atomic(replica.root / PART, json.dumps(fields).encode(), mode=0o440)
    return receipt


def check_statement(node: Node, replica: Replica, service: str, raw: bytes) -> Still:
    """The statement in `raw`; raise ApplianceError unless it may be taken now, or was taken last."""
    grant = _writing_grant(replica, node.bundle, service)
    said = read_still(raw, grant.writer_key)
    if said.service != service:
        raise Refused(f"the statement is about {said.service}, not {service}.")
    if said.generation.epoch != grant.epoch:
        raise Refused(
            f"epoch {said.generation.epoch} of {service} ended: epoch {grant.epoch} belongs to {grant.writer}.",
            remedy="Ask for a new grant.",
        )
    check_newest(replica, said.generation)
    taken = load_taken(replica)
    if taken is None or not _is_same(taken, said):
        _check_time(said, node.clock.now())
        check_later(said, taken, grant.writer_key)
    return said


def _writing_grant(replica: Replica, bundle: Bundle, service: str) -> Grant:
    """The newest grant, when its writer may still write: the fence of a push (`offer.check_writer`)."""
    grants = granters_at(replica, bundle).read_all(service, [replica.grant(epoch) for epoch in replica.epochs()])
    if not grants:
        raise Refused(f"there is no grant for {service}.")
    bundle.revoked.check_writing(grants)
    newest = grants[max(grants)]
    if newest.writer_key != bundle.member(newest.writer).keys.sign:
        raise Refused(f"the grant of epoch {newest.epoch} is for another node.", remedy="Ask for a new grant.")
    return newest


def check_newest(replica: Replica, generation: GenerationId) -> None:
    """Raise NotFound unless `generation` is held whole, and none is known that comes after it or beside it."""
    newest = next(replica.newest_first(), None)
    if newest is None or newest.name != generation.name or not newest.held:
        raise NotFound(f"generation {generation} is not the newest that is held here.", remedy="Push first.")
    beside = replica.folders()[-2:-1]
    if beside and beside[0].rpartition(".")[0] == newest.name.rpartition(".")[0]:
        raise Refused(f"generation {generation} has two sides.", remedy="An act says which continues.")


def _check_time(said: Still, now: float) -> None:
    """One that was kept back could keep a dead writer fresh, and one from the future a dead one for long."""
    if abs(utc_seconds(said.time) - now) > SKEW_SECONDS_MAX:
        raise Refused(
            f"the statement is of {said.time}, and the clock here says {utc_text(now)}.",
            remedy="Set the clocks of both nodes right; until then a backup runs in full.",
        )


def check_later(said: Still, taken: TakenStill | None, writer_key: str) -> None:
    """Raise Refused for a statement that does not come after the one `taken`. One of another epoch or that cannot be
    read any more is no measure."""
    try:
        before = read_still(taken.statement, writer_key) if taken else None
    except (IntegrityError, Refused):
        return
    if before is None or before.generation.epoch != said.generation.epoch:
        return
    if (said.generation.sequence, said.number) <= (
        before.generation.sequence,
        before.number,
    ) or said.time < before.time:
        raise Refused(f"a later statement about {said.service} was taken already, of {before.time}.")


def load_taken(replica: Replica) -> TakenStill | None:
    """Return what was taken last; None where nothing was, or it cannot be read: then the next one is taken."""
    try:
        fields = json.loads((replica.root / PART).read_bytes())
        return TakenStill(str(fields["statement"]).encode(), str(fields["receipt"]).encode())
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def shown(replica: Replica) -> dict[str, Any] | None:
    """The statement and our receipt as an answer shows them; None without one."""
    taken = load_taken(replica)
    return {"statement": taken.statement.decode(), "receipt": taken.receipt.decode()} if taken else None


def _is_same(taken: TakenStill, said: Still) -> bool:
    """The signed line tells: one signature can be written in many ways."""
    return (
        len(taken.statement) <= BYTES_MAX
        and taken.statement.partition(b"\n")[0] == said.document.raw.partition(b"\n")[0]
    )
