"""The cost of a takeover that its writer does not help with: what is lost (RPO), and for how long clients wait (RTO).

The next writer begins from the newest generation that anybody holds, or from the one that an act names, so the age of
that one is what is lost. The estimate for the rest comes from measurements: the last drill here that restored
everything, and the work around it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from dataclasses import dataclass

from appliance.backup.peers.fetch import Survey, survey_all
from appliance.backup.proofs.proofs import load_proofs
from appliance.backup.still.heard import own_word
from appliance.backup.still.words import Word, read_word
from appliance.backup.vault.evidence import read_stored_header
from appliance.backup.vault.replicas import replica_of
from appliance.cli.arguments import command
from appliance.clock import utc_seconds, utc_text
from appliance.errors import ApplianceError
from appliance.failover.forms.form import HANDOVER_SECONDS
from appliance.node.handle import Node
from appliance.trust.generation import Header
from appliance.units import format_duration


@dataclass(frozen=True)
class TakeoverCost:
    """`saved`: the moment whose state one begins from, "" when nobody who answered tells; `why` says who did not
    answer.
    `generation`: its name if an act names it, "" for the newest. `drilled`: when everything was last restored here, ""
    for never. Seconds are None while they cannot be told."""

    service: str
    saved: str
    rpo_seconds: int | None
    drilled: str
    rto_seconds: int | None
    lease_seconds: int
    why: str = ""
    generation: str = ""


def cost_of_takeover(node: Node, service: str, generation: str = "") -> TakeoverCost:
    """Return the cost of a takeover of `service` from `generation`, or from the newest, now, as this node can see
    it."""
    seen, whole = survey_all(node, service), load_proofs(node.service(service)).whole
    saved = saved_at(_headers(node, service, seen, generation), generation, _words(node, service, seen))
    lease = node.bundle.territory.lease_seconds
    return TakeoverCost(
        service=service,
        saved=saved,
        rpo_seconds=max(0, round(node.clock.now() - utc_seconds(saved))) if saved else None,
        drilled=whole.time if whole else "",
        rto_seconds=lease + HANDOVER_SECONDS + round(whole.seconds) if whole else None,
        lease_seconds=lease,
        why=seen.told(),
        generation=generation,
    )


def _headers(node: Node, service: str, seen: Survey, generation: str) -> list[Header]:
    """The header of the newest that each replica node has, this node included, and that of `generation`, where it is
    known."""
    found = [head.newest for head in seen.heads if head.newest]
    found += [tip for head in seen.heads for tip in head.tips if tip.id.name == generation]
    for name in filter(None, (seen.own.name if seen.own else "", generation)):
        with contextlib.suppress(ApplianceError):  # it was never shown here, or what is here does not hold
            found.append(read_stored_header(node, replica_of(node, service), name))
    return found


def _words(node: Node, service: str, seen: Survey) -> list[Word]:
    """The word of the writer that nothing changed, as each node that answered took it, and this one. One is enough: a
    takeover begins from the copy of one."""
    writers = {grant.epoch: grant.writer_key for head in seen.heads for grant in head.grants}
    shown = [(node.bundle.member(head.peer), head.still) for head in seen.heads if head.still]
    found = [read_word(member, service, signed, writers.get) for member, signed in shown]
    return [word for word in (*found, own_word(node, service)) if word]


def saved_at(headers: Collection[Header], generation: str, words: Collection[Word] = ()) -> str:
    """Return the moment whose state `generation` holds, or the newest of `headers` for ""; "" when none tells."""
    found = (it for it in headers if generation in ("", it.id.name))
    saved = max(found, key=lambda it: it.id, default=None)
    if saved is None:
        return ""
    return max(saved.time, *(utc_text(it.time) for it in words if it.generation == saved.id), "")


def text_of(it: TakeoverCost) -> str:
    lost = "an unknown amount, since no node that answered holds a generation (RPO)."
    if it.generation:
        lost = (
            f"what was written since generation {it.generation}, and no node that answered knows when that was (RPO)."
        )
    if it.rpo_seconds is not None:
        lost = f"what was written since {it.saved}, {format_duration(it.rpo_seconds)} ago (RPO)."
    wait = f"a lease of {it.lease_seconds} s, and until everything is in place"
    if it.rto_seconds is not None:
        wait += f": about {format_duration(it.rto_seconds)}, by the drill here of {it.drilled} (RTO)."
    else:
        drill = command("backup", "drill", it.service, "--all")
        wait += f". How long that takes was never measured here (RTO); at the standby: {drill}"
    return " ".join(filter(None, (f"{it.service}: loses {lost}", it.why))) + f"\nClients wait for {wait}"
