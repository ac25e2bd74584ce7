"""One backup run of a service at its writer: look, save, seal, push, judge.

Order matters: the lineage is compared with the peers before borg writes (a rolled-back node must not), counters are
checked before each writing borg, the header is durable here before its first byte leaves, and only receipts make a
backup safe. A run that may be `still`, and finds that nothing changed, starts no borg and seals nothing.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial

from appliance import typed
from appliance.backup.chain.chain import Chain, Sealed, chain_of
from appliance.backup.chain.lineage import prove, remember_cut
from appliance.backup.chain.orphaned_generations import note_orphaned
from appliance.backup.chain.rollback import PeerIsAhead, record_rollback, recorded
from appliance.backup.chain.rollback import forget as forget_rollback
from appliance.backup.chain.seal import next_sequence, will_compact
from appliance.backup.peers.adopt import own_repository
from appliance.backup.peers.conversation import Lines
from appliance.backup.peers.counted import Safety
from appliance.backup.peers.elsewhere import continued_here
from appliance.backup.peers.fetch import Survey, survey
from appliance.backup.peers.last_seen import absent_nodes, current_targets, lost_now, record
from appliance.backup.peers.push import Pushed, check_lineage, push_all
from appliance.backup.peers.readers import note_readers
from appliance.backup.peers.safety import judge
from appliance.backup.sources import Failure, LeftOut, Prepared, ReadFrom, prepare
from appliance.backup.still import note as still_note
from appliance.backup.still.ask import Asked, Still
from appliance.backup.still.look import Look, begin_look, look
from appliance.backup.writer import accepted, noted_archives, saved
from appliance.backup.writer.begin import seal_envelopes
from appliance.backup.writer.compacted import keep_room, seal_compacted, seal_with_room, with_reserve, with_room
from appliance.backup.writer.counters import set_counter
from appliance.backup.writer.manifest import Manifest
from appliance.backup.writer.manifests import (
    add_companion,
    after_borg,
    all_left_out,
    before_borg,
    comment,
    manifests,
    resolve,
    warned,
)
from appliance.backup.writer.source_of import aged_now, source_spec
from appliance.backup.writer.source_sizes import must_stay, note_run, pruning_paused
from appliance.borg.client import Borg
from appliance.borg.errors import DiskFull, RepositoryDamaged
from appliance.borg.folder import put_back_reserve
from appliance.borg.locks import is_locked
from appliance.borg.model import Created, Progress, Repository
from appliance.borg.names import archive_name
from appliance.borg.nonce import check_nonce, next_nonce
from appliance.borg.segments import committed
from appliance.clock import utc_text
from appliance.errors import Busy, IntegrityError, NotFound, Refused
from appliance.host.files import locked
from appliance.node.handle import Node
from appliance.trust.grant import Grant
from appliance.trust.keys import load_key, public_line

COMPACT_THRESHOLD_PERCENT = 50
READERS_SECONDS_MAX = 600  # a catalogue of a million names reads for a minute


@dataclass(frozen=True)
class Run:
    """How a run ended. `left_out` are files that could not be read or stored, by name and reason; those that an
    operator accepted are in `manifest` alone.

    With `failures` (a database that could not be dumped) the run has failed, however much of the rest is safe.
    """

    service: str
    created: Created
    manifest: Manifest
    sealed: Sealed
    pushed: tuple[Pushed, ...]
    safety: Safety
    left_out: tuple[LeftOut, ...]
    read_from: tuple[ReadFrom, ...]
    failures: tuple[Failure, ...]
    seconds: float
    still: str = ""
    """When nothing had changed since `sealed`, as all that must hold it signed; "" of a run that saved everything."""


def run(
    node: Node, service: str, on_progress: Callable[[Progress], None] | None = None, *, may_be_still: bool = False
) -> Run:
    """Back up `service` now and bring it to its peers; raise the named error that stopped it.

    A peer that fails is in `pushed` and in `safety`, and stops nobody else. `may_be_still`: nobody asked for a
    generation, so the word that nothing changed will do.
    """
    started = time.monotonic()
    with Lines(node) as lines:
        done = _save_and_seal(node, service, lines, on_progress, may_be_still)
        if isinstance(done, Still):
            return _still_run(node, done, time.monotonic() - started)
        sealed, created, source, manifest = done
        pushed = push_newest(node, service, lines)
    left_out = all_left_out(created, source, manifest)
    node.journal.write(
        "sealed", service=service, generation=str(sealed.header.id), bytes=sealed.header.bytes, left_out=len(left_out)
    )
    for failure in source.failures:
        node.journal.write("source-failed", service=service, what=failure.what, error=str(failure.error))
    safety = tell_safety(node, service, sealed)
    seconds = time.monotonic() - started
    return Run(service, created, manifest, sealed, pushed, safety, left_out, source.read_from, source.failures, seconds)


def _still_run(node: Node, still: Still, seconds: float) -> Run:
    header, source = still.sealed.header, still.source
    node.journal.write("still", service=header.service, generation=str(header.id), time=still.time)
    made, safety = (still.created, still.manifest, still.sealed, ()), safety_of(node, header.service)
    return Run(header.service, *made, safety, source.left_out, source.read_from, (), seconds, still.time)


def _save_and_seal(
    node: Node, service: str, lines: Lines, on_progress: Callable[[Progress], None] | None, may_be_still: bool
) -> tuple[Sealed, Created, Prepared, Manifest] | Still:
    layout = node.service(service)
    with locked(layout.lock, what=f"the service {service}"):
        _refuse_opening(node, service)
        chain = chain_of(node, service)
        grant = own_grant(node, chain)
        found = compare(node, service, chain, lines)
        seal_envelopes(node, service)
        asked = Asked(node, chain, grant, found.heads, lines) if may_be_still else None
        with repairable(service), _pruning_makes_room(service):
            done = _save(node, service, grant, on_progress, asked)
        if isinstance(done, Still):
            return done
        created, source, manifest, seen = done
        sealed = seal_now(node, service, chain, grant)
        # Before the push, which may take hours and be cut: a pruning would not know that the source has shrunk.
        kept = partial(manifests, Borg(own_repository(layout)), service)
        note_run(node, service, sealed.header.epoch, created.archive, manifest, kept)
        keep_room(node, service)
        if manifest.whole and not manifest.accepted_count:
            still_note.write(layout, sealed.header, created, seen)
    return sealed, created, source, manifest


def _refuse_opening(node: Node, service: str) -> None:
    if node.service(service).opening.exists():
        raise Busy(f"{service} is being taken over here: its files are not in place yet.", remedy="Try again later.")


@contextlib.contextmanager
def _pruning_makes_room(service: str) -> Iterator[None]:
    """Forgetting old archives may be all that a full disk needs, and may use the room that borg keeps back."""
    try:
        yield
    except DiskFull as error:
        error.remedy += f" To free space, delete old archives: `appliance backup prune {service}`."
        raise


def seal_now(node: Node, service: str, chain: Chain, grant: Grant) -> Sealed:
    """Seal what the repository has as the next generation, and have this machine remember it."""
    return seal_with_room(node, service, chain, grant)


def _survey(node: Node, service: str, witnesses: Collection[str], lines: Lines) -> Survey:
    """The heads of the nodes that must hold the service or took its newest generation, and of those unseen for long:
    they may be back."""
    wanted = tuple(aim.node for aim in current_targets(node, service))
    missed = sorted(absent_nodes(node, service) & node.bundle.members.keys())
    found = survey(node, service, tuple(dict.fromkeys((*wanted, *witnesses, *missed))), lines)
    note_readers(node.service(service), wanted, {head.peer: head.reads for head in found.heads})
    record(node, service, {head.peer: head.absences for head in found.heads})
    return found


@contextlib.contextmanager
def repairable(service: str) -> Iterator[None]:
    """Add the remedy to an error about damage in this node's own repository: the peers have it whole."""
    try:
        yield
    except RepositoryDamaged as error:
        error.remedy = f"Replace it from a peer: `appliance backup repair {service}`."
        raise


def own_grant(node: Node, chain: Chain) -> Grant:
    """The newest grant, which must be this node's and its present key's.

    The key itself is looked at, not only the bundle: what another one signed, nobody would ever take, us included.
    """
    grant = chain.grant()
    if public_line(load_key(node.signing_key)) != node.bundle.member(node.name).keys.sign:
        raise Refused(
            f"the signing key of {node.name} is not the one that the bundle names.",
            where=str(node.signing_key),
            remedy="Put the key back, or join again as a new identity.",
        )
    if grant.writer != node.name or grant.writer_key != node.bundle.member(node.name).keys.sign:
        raise Refused(
            f"{grant.service} is written by {grant.writer} in epoch {grant.epoch}, not by this node.",
            remedy=continued_here(node, grant.service, grant.writer),
        )
    node.bundle.revoked.check_writing(chain.grants())
    return grant


def compare(node: Node, service: str, chain: Chain, lines: Lines) -> Survey:
    """Ask the peers what they know; raise PeerIsAhead when one, or this machine's memory, knows more than `chain`.

    It comes before borg writes, and sets the counter to where that may. It waits for no node that is unseen for long.
    Its finding stays for `status`; return what the peers answered.
    """
    newest = chain.newest()
    witnesses = _witnesses(node, service, chain, newest)
    found = _survey(node, service, witnesses, lines)
    answered = tuple(head.peer for head in found.heads)
    silent = tuple(aim.node for aim in current_targets(node, service) if aim.node in found.silent)
    with recorded(node, service):
        prove(node, service, chain, newest, answered=answered, silent=silent)
        for head in found.heads:
            check_lineage(chain, newest, head)
    forget_rollback(node, service, answered)
    note_orphaned(node, service, chain, {head.peer: head.held for head in found.heads})
    set_counter(node.service(service), node.clock, chain.grant().epoch, witnesses, answered)
    return found


def _witnesses(node: Node, service: str, chain: Chain, newest: Sealed | None) -> frozenset[str]:
    """The nodes that could have taken something newer than `newest`: those that must hold the service, and those that
    took it."""
    keys = {
        name: key for name, key in node.bundle.signing_keys.items() if name not in {node.name, *lost_now(node, service)}
    }
    took = chain.receipts(newest.header.id, keys) if newest else ()
    aims = (aim.node for aim in current_targets(node, service))
    return frozenset((*aims, *(receipt.holder for receipt in took)))


def _save(
    node: Node, service: str, grant: Grant, on_progress: Callable[[Progress], None] | None, asked: Asked | None
) -> tuple[Created, Prepared, Manifest, Look] | Still:
    layout = node.service(service)
    repository = own_repository(layout)
    borg = Borg(repository, on_progress, lock_wait_seconds=READERS_SECONDS_MAX)
    check_counters = partial(_check_counters, repository, grant)
    check_counters()
    bring_to_rest(borg)
    resolve(borg, layout, service, check_counters)
    spec, begun = source_spec(node, service), begin_look(node)
    with prepare(spec, layout.root / "reading") as source:
        if not source.paths:
            raise NotFound(
                f"nothing of {service} could be read: {'; '.join(str(failure.error) for failure in source.failures)}"
            )
        seen = look(node, spec, source, begun)
        if asked and (still := asked.whether(seen, source)):
            return still
        still_note.remove(layout)
        number = f"{grant.epoch}.{next_sequence(chain_of(node, service), grant)}"
        archive = archive_name(service, number, utc_text(node.clock.now()), time.monotonic_ns())
        may_lack = accepted.load(layout)
        before = before_borg(source, aged_now(node), may_lack)
        saved.begin(layout, archive)
        created = noted_archives.create(borg, layout, archive, source, comment(before))
        manifest = after_borg(before, source, warned(created), may_lack)
        if not manifest.whole or manifest.accepted_count:
            check_counters()
            add_companion(Borg(repository), layout, archive, manifest)
        saved.end(layout, archive, manifest)
        accepted.end_of_read(node, service, source, manifest)
        return created, source, manifest, seen


def _check_counters(repository: Repository, grant: Grant) -> None:
    check_nonce(next_nonce(repository), grant.epoch)


def bring_to_rest(borg: Borg) -> None:
    """An adopted repository has no index yet, and a killed run leaves segments that were never committed, a killed
    pruning the `config` without borg's reserve.

    It may also leave its borg, still reading the dumps and snapshots that the next run would remove: wait for its end.
    """
    put_back_reserve(borg.repository.path)
    try:
        at_rest = not committed(borg.repository.path).beyond and not is_locked(borg.repository.path)
    except IntegrityError:
        at_rest = False
    if not at_rest:
        borg.recover()


def prune(node: Node, service: str) -> tuple[str, ...]:
    """Forget what the retention does not keep, compact, and seal when that freed segments: their room is free then.

    Return the names of the archives forgotten. Peers keep what they keep. It needs little room itself: borg's reserve
    is lifted, and where there is none it has what is kept back for it, and lets go of what only sealed folders name.
    Raise Refused while most of the service is gone at its source, unless the disk is nearly full.
    """
    layout = node.service(service)
    if why := pruning_paused(node, service, shutil.disk_usage(layout.root).free):
        remedy = (
            f"If that was intended, as root: `appliance backup confirm {service}`. If not, restore what is missing."
        )
        raise Refused(why, remedy=remedy)
    with Lines(node) as lines, locked(layout.lock, what=f"the service {service}"), repairable(service):
        _refuse_opening(node, service)
        chain = chain_of(node, service)
        grant = own_grant(node, chain)
        with_room(node, service, lambda: compare(node, service, chain, lines))
        forgotten = with_reserve(node, service, lambda: _forget(node, service, grant))
        with_reserve(node, service, lambda: compact(node, service, Borg(own_repository(layout))))
        sealed = seal_compacted(node, service, chain, grant)
        keep_room(node, service)
    generation = str(sealed.header.id) if sealed else ""
    node.journal.note("tidied", service=service, archives=len(forgotten), generation=generation)
    return forgotten


def _forget(node: Node, service: str, grant: Grant) -> tuple[str, ...]:
    from appliance.backup.writer.forgetting import forget_noted

    layout, retention = node.service(service), node.bundle.terms(service).service.retention
    repository = own_repository(layout)
    _check_counters(repository, grant)
    borg = Borg(repository)
    resolve(borg, layout, service, partial(_check_counters, repository, grant))
    return forget_noted(borg, layout, service, retention, needed(node, service))


def needed(node: Node, service: str) -> frozenset[str]:
    """The archives that stay whatever the retention says: what a restore that has not ended still takes, and what a
    service that has shrunk is compared with."""
    from appliance.restore.unended import pinned

    return pinned(node.service(service).restores) | frozenset(must_stay(node, service))


def compact(node: Node, service: str, borg: Borg) -> None:
    """Free the space of what was forgotten; announced, since sealed files go."""
    will_compact(node.service(service))
    with noted_archives.unchanged(node.service(service)):
        borg.compact(COMPACT_THRESHOLD_PERCENT)


def push_newest(node: Node, service: str, lines: Lines | None = None) -> tuple[Pushed, ...]:
    """Bring the newest sealed generation to every target that has not acknowledged it; on `lines` when given."""
    chain = chain_of(node, service)
    sealed = chain.newest()
    if sealed is None:
        raise NotFound(f"{service} has no sealed generation yet.", remedy=f"Run `{typed.run(service)}`.")
    with recorded(node, service):
        remember_cut(node, service, chain, sealed)
    folder = node.service(service).sealed / sealed.header.id.name
    receipts = {receipt.holder for receipt in chain.receipts(sealed.header.id, node.bundle.signing_keys)}
    peers = [aim.node for aim in current_targets(node, service) if aim.node not in receipts]
    with Lines(node) as own:
        pushed = push_all(lines or own, chain, sealed, folder, peers)
    for outcome in pushed:
        if isinstance(outcome.error, PeerIsAhead):
            record_rollback(node, service, outcome.error)
        details = {"error": str(outcome.error)} if outcome.error else {}
        node.journal.write(
            "pushed",
            service=service,
            peer=outcome.peer,
            generation=str(sealed.header.id),
            bytes=outcome.bytes_sent,
            **details,
        )
    return pushed


def safety_of(node: Node, service: str) -> Safety:
    """The state of the newest generation, from its receipts."""
    chain = chain_of(node, service)
    sealed = chain.newest()
    replica_nodes = (it.holder for it in chain.receipts(sealed.header.id, node.bundle.signing_keys)) if sealed else ()
    whole = sealed is None or saved.known(node.service(service), sealed.header).whole
    return judge(node.bundle, service, node.name, replica_nodes, lost_now(node, service), whole=whole)


def tell_safety(node: Node, service: str, newest: Sealed) -> Safety:
    """Write down how safe the generation `newest` is."""
    safety = safety_of(node, service)
    node.journal.write("backup", service=service, generation=str(newest.header.id), state=str(safety))
    return safety
