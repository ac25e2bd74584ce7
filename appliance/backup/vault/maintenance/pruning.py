"""Let go of what retention no longer keeps, by this node's ageing clock (`backup/chain/retention.py` decides what).

Invariant: at every moment, and after a cut between any two steps, each generation that is still listed has all its
blobs. So lists go first and durably, then blobs that no list left names; their headers, grants and receipts stay for
ever, in the history (`backup/chain/history.py`) once the list is gone. Headers whose generation never came go at last
(`abandoned.py`). The receipt of what was given up to other holders gets
another name first: no holder's rule let it go, and it comes again if this node has to hold it again.
A blob must have been unnamed in a pass at least two days earlier, so that a push under way or just cut finds what it
already sent. While the newest generation known here is still unfinished, no such blob goes until none has come for as
long as a partial is kept: a large push comes in daily parts, for weeks.

A disk without one free byte is pruned, too: lists and what was found useless earlier go without a byte written, and
what must be written has the vault's reserve.

No session runs meanwhile: pruning takes the session lock, or says that it was skipped. A list that is not the one
its header was signed for stops the removal of blobs, because nobody can then say which ones are still needed.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from appliance.backup.chain.history import Parts, documents, remove_folder
from appliance.backup.chain.retention import YEAR, Drop, Generation, prune, prune_early
from appliance.backup.vault.evidence import read_own_receipt
from appliance.backup.vault.header_parts import leading_to, previous_by_name
from appliance.backup.vault.maintenance import abandoned, damage, early_pruning
from appliance.backup.vault.maintenance.former_replica import generations_to_give_up
from appliance.backup.vault.maintenance.freeze import why_frozen
from appliance.backup.vault.maintenance.leftovers import Noticed, notice, remains, remember, unreferenced_blobs
from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.store import BUCKET, DAMAGED, GIVEN_UP, HEADER, LIST, RECEIPT, RELAY, Replica
from appliance.backup.vault.stored import Stored
from appliance.backup.vault.write_lock import write_lock_before_relays
from appliance.clock import utc_seconds
from appliance.errors import ApplianceError, Busy, IntegrityError, NoSpace
from appliance.host.disks import reserve
from appliance.host.files import fsync_folder, locked
from appliance.node.handle import Node
from appliance.trust.generation import GenerationId, fields_of, parse_list
from appliance.trust.receipt import Receipt
from appliance.trust.signed import digest_of
from appliance.units import DAY, MIB

UNREFERENCED_SECONDS = 2 * DAY
REMAINS_SECONDS = 30 * DAY
UNKNOWN_LOCK_SECONDS = YEAR
SHELVED = frozenset({HEADER, RECEIPT, RELAY, BUCKET, GIVEN_UP})
SHELVED_AT_ONCE_MAX = 5000
RESERVE_BYTES = MIB
"""The reserve of the whole vault: enough to remember 10,000 useless files."""


@dataclass(frozen=True)
class Pruned:
    """The result of one pass: names of the generations whose files were let go, what was removed in all, how many
    headers were forgotten whose generation never came, and the reason why nothing, or no blob, was removed."""

    service: str
    dropped: tuple[str, ...] = ()
    files_removed: int = 0
    bytes_removed: int = 0
    skipped: str = ""
    headers_removed: int = 0


def prune_replica(node: Node, service: str) -> Pruned:
    """Thin what this node holds of `service`; safe to repeat and to interrupt."""
    replica = replica_of(node, service)
    if not replica.generations.exists():
        return Pruned(service)
    if reason := why_frozen(node, service):
        return Pruned(service, skipped=f"frozen: {reason}")
    try:
        with (
            write_lock_before_relays(replica, f"the vault's replica of {service}"),
            locked(replica.lock, what=f"the pool of {service}", wait=True),
        ):
            outcome = _prune(node, service, replica)
    except Busy:
        return Pruned(service, skipped="a session is taking a push; the next pass prunes.")
    if outcome.dropped or outcome.files_removed or outcome.headers_removed:
        node.journal.note(
            "vault-thinned",
            service=service,
            generations=len(outcome.dropped),
            files=outcome.files_removed,
            bytes=outcome.bytes_removed,
            headers=outcome.headers_removed,
        )
    return outcome


def _prune(node: Node, service: str, replica: Replica) -> Pruned:
    damage.settle(node, replica)
    early_pruning.settle(replica, node.ageing.now())
    dropped = choose(node, service, replica)
    if found := _due_early(node, service, replica, dropped):
        reserve.using(node.layout.vault_reserve, lambda: early_pruning.note_early_pruned(replica, found))
        node.journal.note("vault-bent", service=service, generation=found.generation, age_seconds=found.was_seconds)
        dropped += (found.generation,)
    given_up = generations_to_give_up(node, service, replica) if dropped else set()
    for name in dropped:
        if name in given_up:
            replica.path(name, RECEIPT).rename(replica.path(name, GIVEN_UP))
            fsync_folder(replica.generations / name)
        replica.path(name, LIST).unlink()
        replica.path(name, DAMAGED).unlink(missing_ok=True)
        fsync_folder(replica.generations / name)
    outcome = Pruned(service, dropped)
    if dropped:
        damage.settle(node, replica)
    try:
        referenced = _referenced(replica)
    except ApplianceError as error:
        outcome = replace(outcome, skipped=f"no blob was removed: {error}")
    else:
        outcome = _remove(node, replica, outcome, referenced)
    try:
        shelve(replica)  # late: after a cut the folders still tell the agent that this was not done (`are_known`)
        headers = abandoned.forget(replica, would_be_forgotten(node, service, replica))
        outcome = replace(outcome, headers_removed=headers)
    except NoSpace as error:
        outcome = replace(outcome, skipped=outcome.skipped or f"old documents keep their folders: {error}")
    reserve.keep(node.layout.vault_reserve, RESERVE_BYTES)
    return outcome


def _remove(node: Node, replica: Replica, outcome: Pruned, referenced: frozenset[str]) -> Pruned:
    blobs, rest = set(unreferenced_blobs(replica, referenced)), set(remains(replica))
    age = node.ageing.now()
    noticed = notice(replica, blobs | rest, age)
    is_remembered = _remember(node, replica, noticed)
    files = size = 0
    for path in _due(replica, noticed, blobs, age):
        size += replica.discard(path.name) if path in blobs else _remove_remains(path)
        files += 1
    if not is_remembered:  # what went may have made the room for it
        remember(replica, {path: known for path, known in noticed.items() if path.exists()})
    return replace(outcome, files_removed=files, bytes_removed=size)


def _remember(node: Node, replica: Replica, noticed: Noticed) -> bool:
    """Whether it could be written. On a disk without any room what was noticed earlier goes all the same."""
    try:
        reserve.using(node.layout.vault_reserve, lambda: remember(replica, noticed))
    except NoSpace:
        return False
    return True


def _due(replica: Replica, noticed: Noticed, blobs: Collection[Path], age_seconds: int) -> tuple[Path, ...]:
    """Return the files that have been useless for long enough; no blob while the newest push is unfinished and goes
    on."""
    ages = {path: age_seconds - since for path, (_, since) in noticed.items()}
    idle = min((ages[path] for path in blobs), default=0)
    goes_on = _is_unfinished(replica) and idle < REMAINS_SECONDS
    blob_seconds = math.inf if goes_on else UNREFERENCED_SECONDS
    return tuple(path for path, age in ages.items() if age >= (blob_seconds if path in blobs else REMAINS_SECONDS))


def _remove_remains(path: Path) -> int:
    size = path.lstat().st_size
    path.unlink()
    return size


@dataclass(frozen=True)
class _Rule:
    """`ended`: the last epoch that a revocation ended; `goes_on`: whether the service is still in the territory."""

    lock_seconds: int
    ended: int
    goes_on: bool


def _rule(node: Node, service: str) -> _Rule:
    """By the bundle, also of a service that left; one that the bundle does not know is locked for a year."""
    terms, ended = node.bundle.care_terms(service), node.bundle.revoked.ended_epoch(service)
    lock_seconds = terms.service.lock_seconds if terms else UNKNOWN_LOCK_SECONDS
    return _Rule(lock_seconds, ended, service in node.bundle.territory.services)


def choose(node: Node, service: str, replica: Replica) -> tuple[str, ...]:
    """Names of the generations whose files may go now, oldest first. A generation is only let go when it would be
    without the damaged ones too: the newest that is whole stays, whatever is newer."""
    stored, previous = replica.stored(), previous_by_name(replica)
    parents = {item.name: (_id_of(item), previous.get(item.name, "")) for item in stored}
    rule, spared = _rule(node, service), generations_to_give_up(node, service, replica)
    listed = _decided(node, replica, [item for item in stored if item.listed], parents, rule, spared)
    whole = _decided(node, replica, [item for item in stored if item.held], parents, rule, spared)
    return tuple(item.name for item in stored if listed.get(item.name) and whole.get(item.name, True))


def would_go(node: Node, service: str, replica: Replica) -> tuple[str, ...]:
    """Names of the generations that the next pass lets go, with the one of a full quota."""
    dropped = choose(node, service, replica)
    found = _due_early(node, service, replica, dropped)
    return (*dropped, found.generation) if found else dropped


def would_be_forgotten(node: Node, service: str, replica: Replica) -> tuple[str, ...]:
    """Names of the generations of which only a header came and which the next pass forgets."""
    return abandoned.choose(node, replica, _rule(node, service).lock_seconds)


def _due_early(
    node: Node, service: str, replica: Replica, dropped: Collection[str]
) -> early_pruning.EarlyPruned | None:
    """The one more that a full quota lets go today, if any; while a push is unfinished, whose blobs wait, one in 30
    days. Nothing of a service that left the territory, of which nothing more comes."""
    if service not in node.bundle.territory.services:
        return None
    unfinished = _is_unfinished(replica)
    if early_pruning.pruned_within(replica, node.ageing.now(), REMAINS_SECONDS if unfinished else DAY):
        return None
    try:
        full = early_pruning.is_full(
            node, service, replica, lambda: _referenced(replica, dropped), unfinished=unfinished
        )
    except ApplianceError:
        return None  # what is still needed cannot be said, and `_prune` says so
    return _next_early(node, service, replica, dropped) if full else None


def _next_early(
    node: Node, service: str, replica: Replica, dropped: Collection[str]
) -> early_pruning.EarlyPruned | None:
    """By `prune_early`, of what is held without a damage and stays otherwise."""
    stored, previous, now = replica.stored(), previous_by_name(replica), node.ageing.now()
    parents = {item.name: (_id_of(item), previous.get(item.name, "")) for item in stored}
    kept = [item.name for item in stored if item.held and item.name not in dropped]
    received = {name: _received(node, replica, name, now) for name in kept}
    lock_seconds = node.bundle.terms(service).service.lock_seconds
    young = {parents[name][0] for name, it in received.items() if now - it.own < lock_seconds}
    generations = _generations(replica, received, parents, now)
    found = prune_early(generations, now, lock_seconds, young, node.bundle.revoked.ended_epoch(service))
    return early_pruning.EarlyPruned(now, found.id.name, now - received[found.id.name].age) if found else None


def _generations(
    replica: Replica, received: Mapping[str, _Received], parents: Mapping[str, tuple[GenerationId, str]], now: int
) -> list[Generation]:
    """Those in `received`, which are held, with the headers before them."""
    return [
        Generation(*parents[name], it.age, True, _is_whole(replica, name), it.relayed)
        if (it := received.get(name))
        else Generation(*parents[name], now, held=False, whole=False)
        for name in _with_ancestors(received, parents)
    ]


def _is_whole(replica: Replica, name: str) -> bool:
    """Whether the header says so; one that cannot be read counts for nothing."""
    try:
        return fields_of(replica.read(name, HEADER)).get("whole", True) is True
    except ApplianceError:
        return False


def _decided(
    node: Node,
    replica: Replica,
    kept: Iterable[Stored],
    parents: Mapping[str, tuple[GenerationId, str]],
    rule: _Rule,
    spared: Collection[str],
) -> Mapping[str, bool]:
    """For each of `kept` by name: whether it may go; `spared` are those that others hold in the place of this node."""
    now = node.ageing.now()
    received = {item.name: _received(node, replica, item.name, now) for item in kept}
    generations = _generations(replica, received, parents, now)
    decided = prune(generations, now, rule.lock_seconds, ended=rule.ended, goes_on=rule.goes_on)
    drops = {decision.id.name for decision in decided if isinstance(decision, Drop)} | set(spared)
    # A relayed generation is sorted into days by its age there; its lock counts from our own receipt.
    return {name: name in drops and now - it.own >= rule.lock_seconds for name, it in received.items()}


@dataclass(frozen=True)
class _Received:
    """The ageing clock at our own receipt, and the two readings of a relayed one (`retention.Generation`)."""

    own: int
    relayed: tuple[int, int] | None = None

    @property
    def age(self) -> int:
        return max(self.relayed or (self.own,))


def _received(node: Node, replica: Replica, name: str, now: int) -> _Received:
    """When it was received; what cannot be read counts as received now."""
    try:
        receipt = read_own_receipt(node, replica, name)
    except ApplianceError:
        return _Received(now)
    own = min(now, receipt.age_seconds)
    try:
        there = min(own, int(replica.path(name, BUCKET).read_bytes()))
    except (FileNotFoundError, ValueError):
        return _Received(own)
    return _Received(own, (there, min(own, _by_header(replica, receipt, own))))


def _by_header(replica: Replica, receipt: Receipt, own: int) -> int:
    """When the generation of `receipt` was made, on our ageing clock, by its writer's word and the wall clock that our
    receipt names; at `own` where one of them is not to be read."""
    try:
        made = str(fields_of(replica.read(receipt.generation.name, HEADER)).get("time"))
        return own - int(utc_seconds(receipt.time) - utc_seconds(made))
    except (ApplianceError, ValueError):
        return own


def _with_ancestors(kept: Iterable[str], parents: Mapping[str, tuple[GenerationId, str]]) -> frozenset[str]:
    """`kept` and all before them. Headers known beyond them are left out: the end of a branch is what is here of it."""
    return frozenset(leading_to({name: previous for name, (_, previous) in parents.items()}, kept))


def _id_of(item: Stored) -> GenerationId:
    """Its id with the start of the digest, by which headers name the one before them here."""
    return GenerationId(item.epoch, item.sequence, item.name[-16:])


def _referenced(replica: Replica, but: Collection[str] = ()) -> frozenset[str]:
    """The hashes that any list here names, of generations held or being published, `but` those of some; raise
    IntegrityError for a bad list."""
    found: set[str] = set()
    for path in sorted(replica.generations.glob(f"*/{LIST}")):
        if path.parent.name in but:
            continue
        raw = replica.read(path.parent.name, LIST)
        header = fields_of(replica.read(path.parent.name, HEADER))
        if header.get("list") != digest_of(raw):
            raise IntegrityError(f"the list of {path.parent.name} is not the one that its header signs.")
        found.update(entry.sha256 for entry in parse_list(raw))
    return frozenset(found)


def _is_unfinished(replica: Replica) -> bool:
    """Whether a push of the newest generation known here was cut and is still to be finished."""
    names = replica.names()
    newest = replica.find(names[-1]) if names else None
    return newest is not None and not (newest.listed or newest.pruned or newest.given_up)


def _shelved(replica: Replica, name: str) -> Parts | None:
    """The documents of a generation that is held no more; None for any other."""
    stored = replica.find(name)
    parts = documents(replica.generations / name) if stored and not stored.listed else None
    return parts if parts and parts.keys() <= SHELVED else None


def shelve(replica: Replica) -> int:
    """Move the documents of generations held no more into the history; return how many. Each had a folder.

    A damaged generation keeps its folder until it is repaired, and so does a list whose receipt never came. A vault of
    a former version has years of them: they go in several passes, since pushes wait for one.
    """
    wrong = {item.name for item in damage.known(replica)}
    found = ((name, _shelved(replica, name)) for name in replica.folders() if name not in wrong)
    old = dict(islice(((name, parts) for name, parts in found if parts), SHELVED_AT_ONCE_MAX))
    replica.history.add(old)
    for name in old:
        remove_folder(replica.generations / name)
    if old:
        fsync_folder(replica.generations)
    return len(old)
