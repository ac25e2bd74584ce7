"""Defects that were repaired: what each put where, and what a liar does that shows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from appliance.backup.peers.conversation import Conversation, Lines
from appliance.backup.peers.shown import Shown
from appliance.backup.vault.evidence import read_own_receipt
from appliance.backup.vault.maintenance.pruning import _Received
from appliance.backup.vault.store import BUCKET, Replica
from appliance.failover import takeover_worker
from appliance.node.handle import Node
from appliance.trust.bundle import Member
from appliance.trust.grant import Grant
from appliance.trust.granters import Granters
from appliance.units import DAY
from tests.integration.liar.besieged import Besieged
from tests.integration.liar.one_liar import LOCK_SECONDS
from tests.worlds.vaults import SPARE, STANDBY


def any_service(granters: Granters, peer: Member, service: str, grants: Any) -> Shown:
    """Finding 2 of the outside review: a peer that shows a true grant is believed, of whatever service it is."""
    read = [granters.read(raw.encode()) for raw in grants]
    return Shown(peer, service, {it.epoch: it for it in read})


def as_old_as_it_was_said(node: Node, replica: Replica, name: str, now: int) -> _Received:
    """Finding 3: by the word of the holder that handed it on alone."""
    own = min(now, read_own_receipt(node, replica, name).age_seconds)
    path = replica.path(name, BUCKET)
    there = min(own, int(path.read_bytes())) if path.exists() else own
    return _Received(there) if own == there else _Received(own, (there, there))


def shown_to_all(node: Node, service: str, word: str, lines: Lines) -> dict[str, Any]:
    """Finding 8: a vault that kept nothing counts as a fence."""
    grant = takeover_worker._newest_own(node, service)
    asked = tuple(it.node for it in takeover_worker.current_targets(node, service))
    known, _ = lines.ask_all(asked, lambda conversation: _shown_to(conversation, service, grant))
    return {"accepted": list(known), "newer": 0}


def _shown_to(conversation: Conversation, service: str, grant: Grant) -> int:
    head = conversation.head(service)
    if head.tips:
        raws = [it.document.raw.decode() for it in (*head.grants, grant)]
        headers = [head.tips[-1].document.raw.decode()]
        conversation.ask("put", service, grants=raws, headers=headers, list_bytes=0, acknowledge=True)
        conversation.channel.read_frame()
    return 0


def foreign_grants(world: Besieged) -> None:
    world.liar.habit = "foreign"
    for _ in range(20):
        world.cycle()


def false_ages(world: Besieged) -> None:
    """The liar, and not the writer, brings four days to a holder that was down."""
    world.goes_down(SPARE)
    for _ in range(12):
        world.save()
        world.time_passes(DAY / 3)
    world.comes_back()
    for _ in range(80):
        world.the_liar_calls(SPARE)
    world.look()
    world.time_passes(2 * LOCK_SECONDS)
    world.thin(SPARE)
    world.look()


def an_empty_vault(world: Besieged) -> None:
    world.gets_a_new_disk(SPARE)
    world.take_over(STANDBY)
    world.late_push(SPARE)


DEFECTS: dict[str, tuple[str, Any, Callable[[Besieged], None]]] = {
    "a grant of another service is believed": (
        "appliance.backup.peers.conversation.read_shown",
        any_service,
        foreign_grants,
    ),
    "a generation is as old as it is said": (
        "appliance.backup.vault.maintenance.pruning._received",
        as_old_as_it_was_said,
        false_ages,
    ),
    "a vault that kept nothing is a fence": (
        "appliance.failover.takeover_worker.present",
        shown_to_all,
        an_empty_vault,
    ),
}
