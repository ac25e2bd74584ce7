"""Each hour a replica node asks all others what they hold of a service, and compares: who is behind, withholds, or
forked.

A node that writes the service itself also sees whether one of them knows more than it does (`chain/rollback.py`).

Generations that another node lacks and we hold are then pushed there (`catch_up`). Nothing is pulled: the receiver
checks a push with the same code, limits and fence as any other, and when each pushes what it has, each gets what it
lacks.

A peer withholds when it once showed its signed receipt for a generation and now neither holds it, nor says that it is
damaged, nor holds a newer one: the newest is never pruned. The last receipt of each peer is kept, in
`sight/SERVICE.exchanged`; not of one that has to hold the service no more, which gives up all in the end
(`vault/maintenance/former_replica.py`).
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance.backup.chain.chain import chain_of
from appliance.backup.chain.rollback import PeerIsAhead, forget, record_rollback
from appliance.backup.peers.conversation import Conversation, Lines
from appliance.backup.peers.fetch import short_name
from appliance.backup.peers.last_seen import record
from appliance.backup.peers.push import check_lineage
from appliance.backup.peers.replicate import ReplicaHead, Replicated, ask_head, replicate
from appliance.backup.still.heard import remember_shown
from appliance.backup.vault.asked import LACKS
from appliance.backup.vault.give import open_forks
from appliance.backup.vault.maintenance.act_effects import passed_over
from appliance.backup.vault.maintenance.former_replica import note_shown_receipts, required_nodes, writer_of
from appliance.backup.vault.maintenance.repair import other_replica_nodes
from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.sealing.sealer import Sealer
from appliance.backup.vault.sealing.sealer_choice import sealer_of
from appliance.backup.vault.store import Replica
from appliance.backup.vault.stored import Stored
from appliance.backup.vault.stored_grants import stored_grant
from appliance.errors import ApplianceError
from appliance.host.records import Record
from appliance.node.handle import Node
from appliance.trust.bundle import Bundle
from appliance.trust.generation import GenerationId
from appliance.trust.grant import Grant
from appliance.trust.receipt import read_receipt

NOTHING = ""

SHOWN = Record(dict[str, str])
"""By peer, its newest receipt, as signed."""


@dataclass(frozen=True)
class Findings:
    """The answers of the replica nodes of one service, compared. Generations are folder names, NOTHING stands for
    none."""

    service: str
    answered: tuple[str, ...]
    silent: Mapping[str, str]
    """Those who gave no usable answer, with the reason."""
    newest: str
    """The newest that anybody holds, this node included."""
    behind: Mapping[str, str]
    """Replica nodes that hold less, this node included, with the newest that each holds."""
    withheld: Mapping[str, str]
    """Peers that had a generation by their own receipt and do not offer it, with the generation."""
    lacking: Mapping[str, tuple[str, ...]]
    """The generations that others hold and this node lacks, by peer."""
    to_come: Mapping[str, tuple[str, ...]]
    """Those of them that are older than the newest here, where this node must hold the service: its writer brings the
    newest alone, and each peer is asked for the rest (`ask_for_older`)."""
    to_bring: Mapping[str, tuple[str, ...]]
    """The generations that this node holds and another replica node lacks, by peer; `catch_up` pushes them."""
    forks: tuple[str, ...]
    """Numbers such as "2.7" of the newest epoch that two different headers share."""
    new_epochs: tuple[int, ...]
    """Epochs whose grants were learned now."""
    conflicts: tuple[int, ...]
    """Epochs for which two grants were signed."""


def exchange(node: Node, service: str) -> Findings:
    """Ask every other holder of `service` for its head, learn its grants, and say what is not as it should be.

    A newer epoch learned here fences the older writer at this vault from now on.
    """
    replica, sealer = replica_of(node, service), sealer_of(node)
    sealer.prepare(service)
    heads, silent = _ask_replica_nodes(node, service)
    grants = [grant for there in heads.values() for grant in there.head.grants]
    new_epochs, conflicts = _learn(sealer, replica, node.bundle, grants)
    stored = replica.stored()
    over, owing = passed_over(node, service), required_nodes(node, service, replica)
    must_hold = owing - {writer_of(node, service, replica)}
    replica_nodes = _replica_nodes(node, service, heads, must_hold)
    newest = {name: _newest(there) for name, there in heads.items()}
    here = max((item.name for item in stored if item.held and item.name not in over), default=NOTHING)
    newest[node.name] = here
    lacking = {name: _lacking_here(there, stored) for name, there in heads.items()}
    older = {peer: tuple(it for it in names if it < here) for peer, names in lacking.items()}
    findings = Findings(
        service=service,
        answered=tuple(heads),
        silent=silent,
        newest=max(newest.values()),
        behind={name: newest[name] for name in (*replica_nodes, node.name) if newest[name] < max(newest.values())},
        withheld=_withheld(heads, _remember(node, service, heads, owing), over),
        lacking=_filled(lacking),
        to_come=_filled(older) if node.name in must_hold else {},
        to_bring=_filled({name: _lacking_there(heads[name], stored) for name in replica_nodes}),
        forks=_forks(heads.values(), stored, over),
        new_epochs=new_epochs,
        conflicts=conflicts,
    )
    _note_shown(node, service, heads, stored)
    remember_shown(node, service, {peer: it.head.still for peer, it in heads.items() if it.head.still}, owing)
    _tell(node, findings)
    _compare_as_writer(node, service, heads)
    return findings


def catch_up(node: Node, service: str, findings: Findings) -> Mapping[str, Replicated | ApplianceError]:
    """Push to each holder what it lacks and this node holds; how that ended, by peer."""
    done: dict[str, Replicated | ApplianceError] = {}
    for peer in findings.to_bring:
        try:
            done[peer] = replicate(node, service, peer)
        except ApplianceError as error:
            done[peer] = error
    return done


def ask_for_older(node: Node, findings: Findings) -> None:
    """Say at each peer that older generations which it has are to come here; one that does not hear it compares within
    the hour."""
    with Lines(node) as lines:
        lines.ask_all(tuple(findings.to_come), lambda there: _say_lacking(there, findings.service))


def _say_lacking(conversation: Conversation, service: str) -> bool:
    conversation.ask("head", service, brief=True, **{LACKS: True})
    return bool(conversation.channel.read_frame())


def _ask_replica_nodes(node: Node, service: str) -> tuple[dict[str, ReplicaHead], dict[str, str]]:
    """The other holders' heads and who gave none; the origin, which holds nothing, is only asked for a sign of life."""
    replica_nodes = other_replica_nodes(node, service)
    origin = node.bundle.terms(service).origin
    watched = () if origin in (node.name, *replica_nodes) or origin not in node.bundle.members else (origin,)
    heads, silent = _ask(node, service, (*replica_nodes, *watched))
    record(node, service, {peer: there.head.absences for peer, there in heads.items()})
    for peer in watched:
        heads.pop(peer, None)
        silent.pop(peer, None)
    return heads, silent


def _ask(node: Node, service: str, peers: Sequence[str]) -> tuple[dict[str, ReplicaHead], dict[str, str]]:
    with Lines(node) as lines:
        heads, silent = lines.ask_all(peers, lambda conversation: ask_head(conversation, service))
    return heads, {peer: it.what for peer, it in silent.items()}


def _compare_as_writer(node: Node, service: str, heads: Mapping[str, ReplicaHead]) -> None:
    """Leave it for `status` when a holder knows more of a service than this node, which believes that it writes it."""
    chain = chain_of(node, service)
    grant = chain.newest_grant()
    if grant is None or grant.writer != node.name:
        return
    newest = chain.newest()
    for there in heads.values():
        try:
            check_lineage(chain, newest, there.head)
        except PeerIsAhead as found:
            record_rollback(node, service, found)
            return
    forget(node, service, heads)


def _learn(
    sealer: Sealer, replica: Replica, bundle: Bundle, grants: Iterable[Grant]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Keep the grants not known here; the new epochs, and those for which ours and theirs differ."""
    new, conflicts = set(), set()
    for grant in grants:
        if grant.epoch not in replica.epochs():
            sealer.keep(grant.service, [grant])
            new.add(grant.epoch)
        elif stored_grant(replica, bundle, grant.epoch).statement != grant.statement:
            conflicts.add(grant.epoch)
    return tuple(sorted(new)), tuple(sorted(conflicts))


def _replica_nodes(
    node: Node, service: str, heads: Mapping[str, ReplicaHead], must_hold: Container[str]
) -> tuple[str, ...]:
    """The peers that must hold what the service's writer makes: replica nodes, and spares that began to while one is
    lost; never itself. A spare takes nothing from a replica node otherwise, whatever it still holds."""
    replica_nodes = node.bundle.terms(service).replica_nodes
    return tuple(
        name for name, there in heads.items() if name in must_hold and (name in replica_nodes or there.head.held)
    )


def _lacking_here(there: ReplicaHead, stored: Collection[Stored]) -> tuple[str, ...]:
    known = {item.name for item in stored if item.held or item.pruned}
    return tuple(name for name in there.head.held if name not in known)


def _lacking_there(there: ReplicaHead, stored: Collection[Stored]) -> tuple[str, ...]:
    return tuple(item.name for item in stored if item.held and there.lacks(item.name))


def _filled(by_peer: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    return {peer: names for peer, names in by_peer.items() if names}


def _newest(there: ReplicaHead) -> str:
    """The newest that a peer says it holds and whose signed header it shows."""
    newest = there.head.newest
    return newest.id.name if newest and newest.id.name in there.head.held else NOTHING


def _withheld(heads: Mapping[str, ReplicaHead], shown: Mapping[str, str], over: Container[str]) -> dict[str, str]:
    """By peer, the generation it gave a receipt for earlier and now passes over; no act told it to."""
    found = {}
    for peer, there in heads.items():
        once = shown.get(peer, NOTHING)
        if _newest(there) < once and once not in there.damaged and once not in over:
            found[peer] = once
    return found


def _forks(heads: Iterable[ReplicaHead], stored: Sequence[Stored], over: Container[str]) -> tuple[str, ...]:
    """Return the forks that peers report, and those that only show when their headers are compared with ours; of the
    newest epoch known.

    Those that an act ended here are left out: peers that have not heard of it still report them.
    """
    going_on = [item for item in stored if item.name not in over]
    names = {item.name for item in going_on}
    reported = set(open_forks(going_on))
    ended = set(open_forks(stored)) - reported
    for there in heads:
        names |= {tip.id.name for tip in there.head.tips if tip.id.name not in over}
        reported |= set(there.head.forks) - ended
    numbers = Counter(short_name(name) for name in names)
    reported |= {number for number, count in numbers.items() if count > 1}
    epoch = short_name(max(names)).split(".")[0] if names else NOTHING
    return tuple(sorted(number for number in reported if number.startswith(f"{epoch}.")))


def _remember(node: Node, service: str, heads: Mapping[str, ReplicaHead], owing: Collection[str]) -> dict[str, str]:
    """Keep the newest receipt of each peer in `owing`; return, by peer, for which generation the one kept before was.

    A receipt that the peer's present key did not sign is another machine's, which owes us nothing.
    """
    path = _shown_file(node, service)
    before = {peer: raw for peer, raw in SHOWN.load_or(path, {}).items() if peer in owing}
    shown = _checked(node, before)
    kept = {peer: before[peer] for peer in shown}
    for peer, there in heads.items():
        receipt = there.head.receipt
        if receipt and peer in owing and (peer not in shown or receipt.generation > shown[peer]):
            kept[peer] = receipt.document.raw.decode()
    SHOWN.save(path, kept)
    return {peer: generation.name for peer, generation in shown.items()}


def _note_shown(node: Node, service: str, heads: Mapping[str, ReplicaHead], stored: Sequence[Stored]) -> None:
    """Where this node holds nothing by the plan: from then on it may give up what the others have."""
    if node.name in node.bundle.terms(service).replica_nodes:
        return
    held = [item.name for item in stored if item.held]
    shown = {
        peer: (there.head.receipt, {name for name in held if not there.lacks(name)}) for peer, there in heads.items()
    }
    note_shown_receipts(node, service, held, shown)


def shown_receipts(node: Node, service: str) -> dict[str, str]:
    """By peer, the newest generation for which it has ever shown this node its receipt; as kept, nobody is asked."""
    return {peer: shown.name for peer, shown in _checked(node, SHOWN.load_or(_shown_file(node, service), {})).items()}


def _shown_file(node: Node, service: str) -> Path:
    return node.layout.last_seen / f"{service}.exchanged"


def _checked(node: Node, receipts: Mapping[str, str]) -> dict[str, GenerationId]:
    shown: dict[str, GenerationId] = {}
    for peer, raw in receipts.items():
        with contextlib.suppress(ApplianceError):
            shown[peer] = read_receipt(raw.encode(), node.bundle.member(peer).keys.sign).generation
    return shown


def _tell(node: Node, findings: Findings) -> None:
    """Write into the journal what is wrong, and that the exchange took place."""
    for event, found in (
        ("withheld", findings.withheld),
        ("forked", findings.forks),
        ("two-grants", findings.conflicts),
    ):
        if found:
            node.journal.write(f"exchange-{event}", service=findings.service, found=found)
    node.journal.write(
        "exchanged",
        service=findings.service,
        newest=findings.newest,
        answered=findings.answered,
        silent=findings.silent,
        behind=findings.behind,
    )
