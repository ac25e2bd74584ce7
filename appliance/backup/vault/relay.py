"""A generation handed on by another holder, still blind: whether it may be, and how old it counts.

A holder always takes what it lacks from another holder. A spare only takes anything once a holder of the service or its
origin is lost: it was revoked, a signed act says so, or all others of the service have not seen it for 14 days
(`backup/peers/absence_rule.py`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from appliance.backup.peers.absence_rule import parties, proven_absent
from appliance.backup.peers.last_seen import STATEMENTS_MAX, read_statements
from appliance.backup.vault.call import Call
from appliance.backup.vault.offer import Offer
from appliance.backup.vault.store import BUCKET, RELAY, Replica
from appliance.errors import IntegrityError, Refused
from appliance.host.files import write_atomic
from appliance.node.acts import load_acts
from appliance.node.handle import Node
from appliance.trust.act import Act, claim, read_act
from appliance.trust.generation import GenerationId
from appliance.trust.in_force import in_force
from appliance.trust.receipt import Receipt, read_receipt
from appliance.units import DAY

AGE_SECONDS_MAX = 100 * 365 * DAY


@dataclass(frozen=True)
class Relay:
    """`raw` is the receipt of `holder`, which relays; `held_seconds` how long it has held the generation, by its own
    ageing."""

    holder: str
    raw: bytes
    held_seconds: int


def read_relay(call: Call, offer: Offer) -> Relay | None:
    """The relay of a put-relayed request; raise Refused when this node is a spare and nobody is lost."""
    if call.node.name not in call.terms.replica_nodes:
        _check_loss(call)
    if not offer.listing:
        return None
    raw, age = call.request.get("receipt"), call.request.get("age_seconds")
    if not isinstance(raw, str) or not isinstance(age, int) or age > AGE_SECONDS_MAX:
        raise IntegrityError("a relayed push needs the receipt and the age of the relaying replica node.")
    receipt = check_receipt(call.node, offer, call.caller, raw.encode())
    if age < receipt.age_seconds:
        raise IntegrityError(
            f"{call.caller} states an age younger than its own receipt for generation {offer.header.id}."
        )
    return Relay(call.caller, raw.encode(), age - receipt.age_seconds)


def check_receipt(node: Node, offer: Offer, holder: str, raw: bytes) -> Receipt:
    """The receipt in `raw`; raise IntegrityError unless `holder` signed it for the generation of `offer`."""
    receipt = read_receipt(raw, node.bundle.member(holder).keys.sign)
    if (receipt.holder, receipt.service, receipt.generation) != (holder, offer.header.service, offer.header.id):
        raise IntegrityError(f"the receipt is not from {holder} for generation {offer.header.id}.")
    return receipt


def _check_loss(call: Call) -> None:
    now = call.node.clock.now()
    others = {*call.terms.replica_nodes, call.terms.origin} - {call.caller}
    if call.node.bundle.revoked_nodes & others or _is_signed_lost(call, others, now):
        return
    statements = read_statements(call.node, call.terms.name, call.texts("absences")[:STATEMENTS_MAX])
    if not proven_absent(parties(call.terms), statements, call.terms.name, now) & others:
        raise Refused(
            f"{call.node.name} is only a spare for {call.terms.name}.",
            remedy="It takes copies once a replica node or the origin is lost: by a signed act (`act sign lost`), or "
            "because all others of the service, at least two, have not seen it for 14 days.",
        )


def _is_signed_lost(call: Call, others: Collection[str], now: float) -> bool:
    """Whether an act of the request says that one of `others` is lost. Each check of a signature is a process, and a
    frame holds thousands of acts: only what would count is checked, once, and the first that is good is enough. One
    that was taken back here does not count."""
    kept = load_acts(call.node.layout.acts, call.node.bundle, "lost")
    said = dict.fromkeys(raw.encode() for raw in call.texts("acts"))
    count = (raw for raw in said if (it := claim(raw)).subject in others and _is_about(it, call.terms.name, now))
    good = (read_act(raw, call.node.bundle.operators) for raw in count)
    return any(_is_about(it, call.terms.name, now) and it in in_force((it, *kept), now) for it in good)


def _is_about(act: Act, service: str, now: float) -> bool:
    return act.concerns("lost", act.subject, service, now)


def keep_relay(node: Node, replica: Replica, generation: GenerationId, relay: Relay) -> None:
    """Keep what buckets a relayed generation: the age it has there, set in our own ageing clock."""
    folder = replica.generations / generation.name
    write_atomic(folder / RELAY, relay.raw, mode=0o440)
    write_atomic(folder / BUCKET, str(node.ageing.now() - relay.held_seconds).encode(), mode=0o440)


def forget_relay(replica: Replica, generation: GenerationId) -> None:
    """The writer itself brings it now: what a cut relay left does not bucket it."""
    for part in (BUCKET, RELAY):
        replica.path(generation.name, part).unlink(missing_ok=True)
