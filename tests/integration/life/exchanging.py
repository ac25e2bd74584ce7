"""The rounds of replica nodes: they ask each other, bring what one lacks, and give up what others have.

The product decides which node asks, which gets what, and what goes; the headers and lists are the model's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.backup.vault.maintenance.former_replica import CheckedReceipt, ShownReceipt, still_shows
from appliance.trust.generation import GenerationId
from tests.integration.life.world import BEGIN_UTC, CHUNK_BYTES, SERVICE, Holder

if TYPE_CHECKING:
    from tests.integration.life.life import Life


def exchange(life: Life) -> None:
    """Replica nodes ask each other, bring what one lacks that must have it, and note what was shown."""
    there = [it for it in life.nodes.values() if it.reachable]
    placed, aims = life.town.bundle.terms(SERVICE).replica_nodes, life.town.aims()
    for taker in there:
        owes = taker.name != life.writer.node and taker.name in (*placed, *aims)
        if owes and (taker.name in placed or taker.held) and life.town.takes(taker.name):
            for giver in there:
                if giver is not taker:
                    _hand_on(life, giver, taker)
    for holder in there:
        if holder.held and holder.name not in placed:
            for peer in there:
                if peer is not holder:
                    _note_shown(life, holder, peer)


def _hand_on(life: Life, giver: Holder, taker: Holder) -> None:
    """All that `giver` has and `taker` lacks, newest first; refused where the share of `taker` is full."""
    machine, upto = taker.asked.get(giver.name, (0, 0))
    if machine != life.town.machines[giver.name]:  # another box in its place, which has what it has from the first on
        upto = 0
    limits = life.town.limits(taker.name)
    for name in sorted({*giver.arrived[upto:]}, reverse=True):
        if name not in giver.held or not taker.lets_in(name):
            continue
        sealed = giver.held[name]
        if not life.rules.fits(taker, limits, taker.lacks(sealed).bit_count() * CHUNK_BYTES, True):
            return
        made = int(BEGIN_UTC + life.age - sealed.newest.wall)
        there = min(int(life.age), giver.headers[name].received_age_seconds)
        taker.publish(sealed, life.age, (there, min(int(life.age), int(life.age) - made)))
    taker.asked[giver.name] = life.town.machines[giver.name], len(giver.arrived)


def _note_shown(life: Life, holder: Holder, peer: Holder) -> None:
    """Note what `peer` shows for what `holder` has; a receipt stands here for what it says, and for whose keys signed
    it."""
    newest, now, first = max(holder.held).name, int(life.age), _believed(life, holder, peer.name)
    holder.shown.pop(peer.name, None)
    shown = peer.newest.id.name if peer.newest else ""
    if shown < newest:
        return
    if not first or not still_shows(first.receipt, shown, newest, first.age_seconds, now):
        first = ShownReceipt(shown, now, ())
    has = tuple(name.name for name in holder.held if not peer.lets_in(name))
    holder.shown[peer.name] = life.town.machines[peer.name], ShownReceipt(first.receipt, first.age_seconds, has)


def _believed(life: Life, holder: Holder, peer: str) -> ShownReceipt | None:
    """Return what `peer` showed; the receipts of a box that was replaced are signed by keys that are nobody's any
    more."""
    machine, shown = holder.shown.get(peer, (0, None))
    return shown if machine == life.town.machines[peer] else None


def spared(life: Life, holder: Holder) -> set[GenerationId]:
    """Return what the others showed for long enough, where this node holds the service no more."""
    present = life.rules.successor_nodes(life.town.bundle, life.writer.node, holder.name) if holder.shown else ()
    if not present:
        return set()
    now, names = int(life.age), {name.name: name for name in holder.held}
    receipts = {
        peer: CheckedReceipt(it.receipt, now - it.age_seconds, frozenset(it.has))
        for peer in present
        if (it := _believed(life, holder, peer))
    }
    return {names[name] for name in life.rules.gives_up(names, present, receipts, life.lock)}
