"""Read the world once into one frozen view. Nothing here changes anything, and one unreadable service hides no other.

An ordinary look is cheap, since the agent takes one every half minute for years: the newest of everything, no list of
files, no pool walked. A thorough one, for status and metrics, counts bytes and looks for the newest safe generation.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path

from appliance.accounts.service import AccountService
from appliance.agent.machine import see_machine
from appliance.agent.memory import Memory
from appliance.agent.observe_envelopes import inherited_envelopes, made_envelopes
from appliance.agent.observe_former_services import former_services, generation_of, held_of_former, newest_held
from appliance.agent.observe_restores import restored_services, unended_restores
from appliance.agent.observe_safety import acknowledged_by, safe_newest
from appliance.agent.wholeness import LOOKED_BACK_MAX, as_known, back_from, missing_of, newest_whole, older_held
from appliance.backup.chain.chain import Chain, chain_of
from appliance.backup.chain.header_sizes import size_of_raw
from appliance.backup.chain.orphaned_generations import orphaned_notice
from appliance.backup.chain.rollback import is_given_away
from appliance.backup.chain.rollback import load as load_rollback
from appliance.backup.chain.shrink_check import BackupSize
from appliance.backup.peers.elsewhere import comes_back, moves
from appliance.backup.peers.last_seen import absent_nodes, declared_lost, load_last_seen
from appliance.backup.peers.safety import judge
from appliance.backup.peers.targets import targets
from appliance.backup.still.heard import heard, own_word, still_of
from appliance.backup.vault.asked import asked_at
from appliance.backup.vault.evidence import read_own_receipt, read_stored_header
from appliance.backup.vault.give import forks_here
from appliance.backup.vault.maintenance import damage, early_pruning
from appliance.backup.vault.maintenance.act_effects import quota_bytes
from appliance.backup.vault.maintenance.freeze import why_frozen
from appliance.backup.vault.maintenance.leftovers import are_known
from appliance.backup.vault.replicas import replica_names, replica_of
from appliance.backup.vault.sealing import probed
from appliance.backup.vault.store import HEADER, Replica, size_of
from appliance.backup.vault.stored_grants import stored_grant
from appliance.backup.writer import accepted, saved
from appliance.backup.writer.begin import recipients_of
from appliance.backup.writer.replaced import replaced_repositories
from appliance.backup.writer.schedule import due
from appliance.backup.writer.source_sizes import load_shrunken
from appliance.clock import utc_seconds
from appliance.errors import ApplianceError, Busy
from appliance.escrow.envelopes import RECOVERY, unsealed
from appliance.failover.kept_acts import JudgedActs
from appliance.failover.replaced_trees import put_aside
from appliance.failover.status import programs_of, see_failover
from appliance.host.files import locked
from appliance.host.layout import NodeLayout
from appliance.monitor.failover_view import FailoverView
from appliance.monitor.view import (
    AgentSeen,
    Ahead,
    Grant,
    Held,
    Machine,
    Now,
    OriginSeen,
    Readable,
    Unended,
    View,
    Written,
)
from appliance.node.handle import Node
from appliance.territory.implicit import homes, implicit_name, is_implicit
from appliance.territory.model import Service
from appliance.trust.bundle import Terms

SIZES_REMEMBERED = 20_000
"""A lock of 30 days, hourly, and what retention leaves of ten years are about 940 generations of a service."""


class Observer:
    """Looks at a node again and again; keeps the acts it checked, since each check starts ssh-keygen."""

    def __init__(self) -> None:
        self._acts = JudgedActs()

    def look(self, node: Node, now: Now, memory: Memory, *, thorough: bool = False) -> View:
        """The view of `node` at `now`. Raise only what concerns all of it, such as a disk that cannot be read."""
        acts = self._acts.look(node)
        unread: dict[str, str] = {}
        written: list[Written] = []
        held: list[Held] = []
        readable: list[Readable] = []
        ahead: list[Ahead] = []
        stood_for: list[OriginSeen] = []
        programs, _ = programs_of(node)
        for service in node.bundle.territory.services:
            lost = declared_lost(node, service, acts) | absent_nodes(node, service) | node.bundle.revoked_nodes
            writing = _kept(unread, service, _written, node, service, lost, thorough=thorough)
            ours = writing is not None and writing.ours
            holding = _kept(unread, service, _held, node, service, lost, ours=ours, thorough=thorough)
            written += [writing] if writing else []
            held += [holding] if holding else []
            readable += _readable(node, service, writing, holding, thorough=thorough)
            ahead += _ahead(node, service, holding, ours=ours, may_be_served=service in programs)
            stood_for += _origin(node, service, holding, lost)
        for service in former_services(node):
            holding = _kept(unread, service, held_of_former, node, service, thorough=thorough)
            held += [holding] if holding else []
        seen = {*unread, *(it.service for it in held)}
        restores: list[Unended] = []
        for service in restored_services(node) if thorough else ():
            restores += _kept(unread, service, unended_restores, node, service) or ()
        return View(
            node=node.name,
            timezone=node.bundle.territory.timezone,
            serial=node.bundle.serial,
            issued=utc_seconds(node.bundle.issued),
            disk_free=_disk_free(node.layout.root),
            written=tuple(written),
            held=tuple(held),
            readable=tuple(readable),
            ahead=tuple(ahead),
            origins=tuple(stood_for),
            being_removed=tuple(it for it in replica_names(node) if it not in seen and are_known(replica_of(node, it))),
            attempts=memory.attempts,
            running=memory.running,
            machine=see_machine(node.layout) if thorough else Machine(),
            failover=see_failover(node, now, acts) if thorough else FailoverView(),
            unended=tuple(restores),
            unread=unread,
        )


def now_of(node: Node) -> Now:
    return Now(node.clock.now(), node.ageing.now())


def agent_lock(layout: NodeLayout) -> Path:
    return layout.run / "agent.lock"


def see_agent(layout: NodeLayout) -> AgentSeen:
    """How the agent of this node is, told by its lock: it ends with the agent, and is touched at each look."""
    path = agent_lock(layout)
    if not path.exists():
        return AgentSeen(runs=False)
    try:
        with locked(path, what="the agent", shared=True):
            return AgentSeen(runs=False)
    except Busy:
        return AgentSeen(runs=True, looked=path.stat().st_mtime, measured=_measured(layout))


def _measured(layout: NodeLayout) -> float:
    """When the measures were written last; before there are any, when their folder was made."""
    for path in (layout.measures, layout.measures.parent):
        with suppress(OSError):
            return path.stat().st_mtime
    return 0.0


def _plainly(error: Exception) -> str:
    """An error of the system or of a damaged file, as a person reads it."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'a file'}: {error.strerror.lower()}."
    return f"it is damaged ({error})."


def _kept[**Given, Found](
    unread: dict[str, str], name: str, read: Callable[Given, Found], *words: Given.args, **options: Given.kwargs
) -> Found | None:
    """Return the result of `read`; None, with the reason in `unread`, when part of the service `name` is damaged."""
    try:
        return read(*words, **options)
    except (ApplianceError, OSError, ValueError, KeyError) as error:
        unread[name] = str(error) if isinstance(error, ApplianceError) else f"it cannot be read: {_plainly(error)}"
        return None


def _disk_free(folder: Path) -> int:
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


# Services written here


def _written(node: Node, service: str, lost: frozenset[str], *, thorough: bool) -> Written | None:
    terms, chain = node.bundle.terms(service), chain_of(node, service)
    grant = _grant(node, service, chain)
    given_to = terms.origin if grant and is_given_away(node, service) else ""
    ours = grant is not None and grant.ours and not given_to
    if not ours and terms.origin != node.name and not given_to:
        return None
    # A schedule that makes no sense is told here, so that deciding never meets one.
    due(terms.service.schedule, 0.0, 0.0, node.bundle.territory.timezone)
    names = chain.recent(LOOKED_BACK_MAX)
    header = chain.newest_header()
    newest = saved.known(node.service(service), header) if header else None
    acknowledged = acknowledged_by(node.bundle, chain, newest)
    safety = judge(node.bundle, service, node.name, acknowledged, lost, whole=newest is None or newest.whole)
    still_at = partial(still_of, node, service, chain, heard(node, service), lost)
    seen = generation_of(newest, still_at(newest.id)) if newest else None
    safe, unsafe_since = seen if safety.safe else None, 0.0
    looks_back = thorough and newest is not None and not safety.safe
    older = as_known(newest, back_from(newest.id.name, names, chain.raw_header)) if newest and looks_back else ()
    if newest and older:
        safe, unsafe_since = safe_newest(node, service, chain, older, still_at)
    aims = targets(node.bundle, service, node.name, lost) if ours else ()
    made = made_envelopes(node.service(service).envelopes) if thorough else {}
    return Written(
        service=service,
        schedule=terms.service.schedule,
        rpo_seconds=terms.service.rpo_seconds,
        origin=terms.origin == node.name,
        begun=node.service(service).repository.exists(),
        grant=grant,
        targets=tuple(aim.node for aim in aims),
        newest=seen,
        generations=len(names),
        acknowledged=acknowledged,
        safety=safety,
        safe_newest=safe,
        unsafe_since=unsafe_since,
        rto_seconds=terms.service.rto_seconds,
        envelopes=made,
        inherited_envelopes=inherited_envelopes(chain) if thorough and newest and RECOVERY not in made else frozenset(),
        has_recovery_key=bool(node.bundle.recovery),
        overtaken=_overtaken(node, service),
        orphaned=orphaned_notice(node, service),
        put_aside=tuple(it.name for it in replaced_repositories(node.service(service))) if thorough else (),
        trees=put_aside(node.service(service)) if thorough else (),
        unsealed=unsealed(node.service(service).envelopes, recipients_of(node.bundle, service)) if ours else (),
        accounts_changed=_accounts_changed(node, terms.service),
        partial=missing_of(node.layout.bundle.parent, terms.service, newest, older) if newest else (),
        accepted=accepted.load(node.service(service)),
        shrunken=str(load_shrunken(node, service) or ""),
        given_to=given_to,
        comes_back=comes_back(node, service) if not ours and moves(node, service) else "",
        starts_over=grant is not None and grant.epoch <= node.bundle.revoked.ended_epoch(service),
    )


def _overtaken(node: Node, service: str) -> tuple[str, str]:
    found = load_rollback(node, service)
    return (found.what, found.remedy) if found else ("", "")


def _accounts_changed(node: Node, service: Service) -> float:
    """Only the agent may look into root's folder: for anybody else nothing was changed."""
    if is_implicit(service) and service.node == node.name:
        with suppress(OSError):
            return node.layout.accounts.stat().st_mtime
    return 0.0


def _grant(node: Node, service: str, chain: Chain) -> Grant | None:
    """The newest grant, of `chain` or of the vault: the present writer pushes to us, and the chain learns late."""
    newest, replica = chain.newest_grant(), replica_of(node, service)
    if newest is None:
        return None
    held = max(replica.epochs(), default=0)
    if held > newest.epoch:
        known = stored_grant(replica, node.bundle, held)
        return Grant(known.epoch, known.writer, ours=False)
    own_key = node.bundle.member(node.name).keys.sign
    return Grant(newest.epoch, newest.writer, newest.writer == node.name and newest.writer_key == own_key)


# Services held for others


def _held(node: Node, service: str, lost: frozenset[str], *, ours: bool, thorough: bool) -> Held | None:
    terms, replica = node.bundle.terms(service), replica_of(node, service)
    newest = newest_held(replica)
    known = damage.known(replica)
    holder = node.name in terms.replica_nodes
    if not holder and newest is None and not known:
        return None
    header = read_stored_header(node, replica, newest) if newest else None
    receipt = read_own_receipt(node, replica, newest) if newest else None
    quota = quota_bytes(node, terms) if thorough else terms.quota_bytes
    used = replica.used_bytes() if thorough else None
    ceiling = None if used is None else early_pruning.allowed_now(replica, quota, used)
    older = older_held(replica, header.id.name) if thorough and header and not header.whole else ()
    whole = newest_whole(node, replica, older) if older else receipt
    ceased = node.bundle.former.ceased(service, node.name)
    word = own_word(node, service)
    still = word.time if word and header and word.generation == header.id else 0.0
    is_later = word is not None and whole is not None and word.generation == whole.generation
    return Held(
        service=service,
        rpo_seconds=terms.service.rpo_seconds,
        expected=holder and not ours,
        newest=generation_of(header, still) if header else None,
        received=utc_seconds(receipt.time) if receipt else 0.0,
        received_age=receipt.age_seconds if receipt else 0,
        lost=tuple(sorted(lost & {*terms.replica_nodes, terms.origin})),
        targets=_targets(node, terms, replica, lost),
        quota_bytes=quota,
        used_bytes=used,
        ceiling_bytes=None if ceiling is None else int(ceiling),
        short_bytes=None if ceiling is None else early_pruning.short_bytes(terms, ceiling),
        forks=forks_here(node, service, replica) if thorough else (),
        damage=tuple(f"{item.kind} {item.name}" for item in known),
        frozen=why_frozen(node, service) if thorough else "",
        early_pruned=early_pruning.notice(replica, node.ageing.now()) if thorough else "",
        lock=probed.load(probed.FILE_OF_A_HOST).get(service) if thorough and node.layout.is_this_host else None,
        sizes=_sizes(node, replica) if thorough else (),
        partial=missing_of(node.layout.bundle.parent, terms.service, header, older) if header else (),
        whole_received=utc_seconds(whole.time) if whole else 0.0,
        whole_received_age=whole.age_seconds if whole else 0,
        still_received=word.received if word and is_later else 0.0,
        still_received_age=word.received_age if word and is_later else 0,
        elsewhere=ceased.goes if ceased else "",
        asked=asked_at(replica),
    )


def _targets(node: Node, terms: Terms, replica: Replica, lost: frozenset[str]) -> tuple[str, ...]:
    """Return the nodes that must hold the service now that `lost` are gone; no new node while none is."""
    epochs = replica.epochs()
    if not epochs or not lost & {*terms.replica_nodes, terms.origin}:
        return ()
    writer = stored_grant(replica, node.bundle, epochs[-1]).writer
    return tuple(aim.node for aim in targets(node.bundle, terms.name, writer, lost) if aim.node != node.name)


def _sizes(node: Node, replica: Replica) -> tuple[BackupSize, ...]:
    """Headers are only read, not proven again: each was when it came, and there are hundreds. The scrub finds what
    cannot be read."""
    held = [item for item in replica.listed() if item.held]
    of: dict[int, str] = {}
    for epoch in {item.epoch for item in held}:
        with suppress(ApplianceError):
            of[epoch] = stored_grant(replica, node.bundle, epoch).repository
    found = []
    for item in held:
        if of.get(item.epoch) == of.get(held[-1].epoch):
            with suppress(ApplianceError):
                found.append(_size(replica.root, item.name))
    return tuple(found)


@lru_cache(maxsize=SIZES_REMEMBERED)
def _size(root: Path, name: str) -> BackupSize:
    """The size of generation `name`, read once: the digest of its header is in its name."""
    return size_of_raw(name, Replica(root).read(name, HEADER))


def _readable(
    node: Node, service: str, written: Written | None, held: Held | None, *, thorough: bool
) -> tuple[Readable, ...]:
    """Where this node reads the names of a service; a sealed key opens only for a signed act, never by itself. A
    service that comes into place here just now is read afterwards."""
    if node.service(service).opening.exists():
        return ()
    terms, file = node.bundle.terms(service), node.service(service).catalogue
    size = size_of(file) if thorough else None
    rpo = terms.service.rpo_seconds
    if written and written.newest and written.ours:
        return (Readable(service, "local", written.newest, rpo, size),)
    if held and held.newest and node.name in terms.standbys and terms.service.key_access == "hot":
        return (Readable(service, "standby", held.newest, rpo, size, held.received),)
    return ()


def _ahead(node: Node, service: str, held: Held | None, *, ours: bool, may_be_served: bool) -> tuple[Ahead, ...]:
    """Return the services that may have to be served here next. A database is not among them: its dump is read once, at
    the takeover. Neither is a service that comes into place here just now: its takeover does that, and would wait for
    this work."""
    terms = node.bundle.terms(service)
    if node.service(service).opening.exists():
        return ()
    opens = node.name == terms.origin or terms.service.key_access == "hot"
    if ours or not may_be_served or not opens or not held or not held.newest or not terms.service.paths:
        return ()
    return (Ahead(service, held.newest, held.received),)


def _origin(node: Node, service: str, held: Held | None, lost: frozenset[str]) -> tuple[OriginSeen, ...]:
    """The node whose own service this is, when this one stands by for it and holds something of it."""
    home = node.bundle.territory.service(service).node
    if not held or not held.newest or service != implicit_name(home):
        return ()
    if home not in homes(node.bundle.territory, node.name):
        return ()
    seen = load_last_seen(node, service).seen.get(home)
    let_in = os.path.exists(AccountService(node.layout.accounts, node.name, syncs=False).file_of(home))
    revoked = home in node.bundle.revoked_nodes
    return (OriginSeen(service, home, held.newest, seen.age if seen else None, home in lost, let_in, revoked),)
