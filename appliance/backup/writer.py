"""One backup run of a service at its writer: look, save, seal, push, judge.

Order matters: the lineage is compared with the peers before borg writes (a rolled-back node must not), counters are
checked before each writing borg, the header is durable here before its first byte leaves, and only receipts make a
backup safe.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from appliance.backup import saved
from appliance.backup.adopt import own_repository
from appliance.backup.begin import seal_envelopes
from appliance.backup.branched import drop_checkpoints
from appliance.backup.chain import Chain, Sealed, chain_of
from appliance.backup.compacted import seal_compacted, seal_with_room, with_room
from appliance.backup.counted import Safety
from appliance.backup.elsewhere import continued_here
from appliance.backup.fetch import Survey, survey
from appliance.backup.forgetting import forget
from appliance.backup.keep import check_retention
from appliance.backup.left_behind import note as note_left_behind
from appliance.backup.lineage import prove, remember_cut
from appliance.backup.manifest import Aged, Manifest
from appliance.backup.manifests import add_companion, after_borg, before_borg, comment, manifests, resolve
from appliance.backup.node import Node
from appliance.backup.overtaken import Overtaken, note_overtaken, noted
from appliance.backup.overtaken import forget as forget_overtaken
from appliance.backup.own import own_paths
from appliance.backup.peers import Lines
from appliance.backup.push import Pushed, check_lineage, push_all
from appliance.backup.readers import note_readers
from appliance.backup.safety import judge
from appliance.backup.seal import next_sequence, will_compact
from appliance.backup.sight import note, unseen_nodes
from appliance.backup.source_sizes import must_stay, note_run, tidy_paused
from appliance.backup.sources import Failure, LeftOut, PostgresServer, Prepared, ReadFrom, SourceSpec, prepare
from appliance.backup.targets import Target, load_acts, lost_nodes, targets
from appliance.backup.vault.kept import stored_grant
from appliance.borg.client import Borg
from appliance.borg.errors import DiskFull, RepositoryDamaged
from appliance.borg.folder import put_back_reserve, reserve_lifted
from appliance.borg.locks import is_locked
from appliance.borg.model import Created, Progress, Repository
from appliance.borg.names import archive_name
from appliance.borg.nonce import check_nonce, next_nonce
from appliance.borg.segments import committed
from appliance.clock import utc_text
from appliance.errors import Busy, IntegrityError, NotFound, Refused
from appliance.host.files import locked
from appliance.host.identity import machine_id
from appliance.restore.unended import pinned
from appliance.territory.implicit import is_implicit
from appliance.territory.served import DATABASE, database_socket
from appliance.trust.grant import Grant
from appliance.trust.keys import load_key, public_line

COMPACT_THRESHOLD_PERCENT = 50
READERS_SECONDS_MAX = 600  # a catalogue of a million names reads for a minute


@dataclass(frozen=True)
class Run:
    """How a run ended. `left_out` are files that could not be read or stored, by name and reason.

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


def run(node: Node, service: str, on_progress: Callable[[Progress], None] | None = None) -> Run:
    """Back up `service` now and bring it to its peers; raise the named error that stopped it.

    A peer that fails is in `pushed` and in `safety`, and stops nobody else.
    """
    started = time.monotonic()
    with Lines(node) as lines:
        sealed, created, source, manifest = _save_and_seal(node, service, lines, on_progress)
        pushed = push_newest(node, service, lines)
    left_out = _left_out(created, source)
    node.journal.write(
        "sealed", service=service, generation=str(sealed.header.id), bytes=sealed.header.bytes, left_out=len(left_out)
    )
    for failure in source.failures:
        node.journal.write("source-failed", service=service, what=failure.what, error=str(failure.error))
    safety = tell_safety(node, service, sealed)
    seconds = time.monotonic() - started
    return Run(service, created, manifest, sealed, pushed, safety, left_out, source.read_from, source.failures, seconds)


def _save_and_seal(
    node: Node, service: str, lines: Lines, on_progress: Callable[[Progress], None] | None
) -> tuple[Sealed, Created, Prepared, Manifest]:
    layout = node.service(service)
    with locked(layout.lock, what=f"the service {service}"):
        _refuse_opening(node, service)
        chain = chain_of(node, service)
        grant = own_grant(node, chain)
        compare(node, service, chain, lines)
        seal_envelopes(node, service)
        with mendable(service), _tidy_makes_room(service):
            created, source, manifest = _save(node, service, grant, on_progress)
        sealed = seal_now(node, service, chain, grant)
        # Before the push, which may take hours and be cut: a tidying would not know that the source has shrunk.
        kept = partial(manifests, Borg(own_repository(layout)), service)
        note_run(node, service, sealed.header.epoch, created.archive, manifest, kept)
    return sealed, created, source, manifest


def _refuse_opening(node: Node, service: str) -> None:
    if node.service(service).opening.exists():
        raise Busy(f"{service} is being taken over here: its files are not in place yet.", remedy="Try again later.")


@contextlib.contextmanager
def _tidy_makes_room(service: str) -> Iterator[None]:
    """Forgetting old archives may be all that a full disk needs, and may use the room that borg keeps back."""
    try:
        yield
    except DiskFull as error:
        error.remedy += f" Old archives give theirs back: `appliance backup tidy {service}`."
        raise


def seal_now(node: Node, service: str, chain: Chain, grant: Grant) -> Sealed:
    """Seal what the repository has as the next generation, and have this machine remember it."""
    return seal_with_room(node, service, chain, grant)


def _survey(node: Node, service: str, lines: Lines) -> Survey:
    """The heads of those who shall hold the service, and of those unseen for long: they may be back."""
    aims = (target.node for target in current_targets(node, service))
    missed = sorted(unseen_nodes(node, service) & node.bundle.members.keys())
    wanted = tuple(aims)
    found = survey(node, service, tuple(dict.fromkeys((*wanted, *missed))), lines)
    note_readers(node.service(service), wanted, {head.peer: head.reads for head in found.heads})
    note(node, service, {head.peer: head.absences for head in found.heads})
    return found


@contextlib.contextmanager
def mendable(service: str) -> Iterator[None]:
    """What borg finds damaged in this node's own repository, the peers have whole."""
    try:
        yield
    except RepositoryDamaged as error:
        error.remedy = f"Bring it back from a peer: `appliance backup mend {service}`."
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
            remedy="Put the key back, or join anew as a new identity.",
        )
    if grant.writer != node.name or grant.writer_key != node.bundle.member(node.name).keys.sign:
        raise Refused(
            f"{grant.service} is written by {grant.writer} in epoch {grant.epoch}, not by this node.",
            remedy=continued_here(node, grant.service, grant.writer),
        )
    node.bundle.revoked.check_writing(chain.grants())
    return grant


def known_writer(node: Node, service: str) -> str:
    """Who writes `service` as far as it is known here: by the newest grant of the chain or the vault, or as planned."""
    grants, holding = chain_of(node, service).grants(), node.holding(service)
    newest = max((*grants, *holding.epochs()), default=0)
    if not newest:
        return node.bundle.terms(service).origin
    if newest in grants:
        return grants[newest].writer
    return stored_grant(holding, node.bundle, newest).writer


def lost_now(node: Node, service: str) -> frozenset[str]:
    """The nodes that acts in force here call lost, and those that were revoked."""
    return lost_nodes(load_acts(node.layout.acts, node.bundle), service, node.clock.now()) | node.bundle.revoked_nodes


def current_targets(node: Node, service: str) -> tuple[Target, ...]:
    """Who shall hold what this node writes of `service`, by the bundle, the acts in force and who is unseen by all."""
    lost = lost_now(node, service)
    return targets(node.bundle, service, node.name, lost | unseen_nodes(node, service))


def compare(node: Node, service: str, chain: Chain, lines: Lines) -> None:
    """Ask the peers what they know; raise Overtaken when one, or this machine's memory, knows more than `chain`.

    It comes before borg writes. Of those unseen for long nobody is waited for. What is found stays for `status`.
    """
    found, newest = _survey(node, service, lines), chain.newest()
    answered = tuple(head.peer for head in found.heads)
    silent = tuple(aim.node for aim in current_targets(node, service) if aim.node in found.silent)
    with noted(node, service):
        prove(node, service, chain, newest, answered=answered, silent=silent)
        for head in found.heads:
            check_lineage(chain, newest, head)
    forget_overtaken(node, service, answered)
    note_left_behind(node, service, chain, {head.peer: head.held for head in found.heads})


def _save(
    node: Node, service: str, grant: Grant, on_progress: Callable[[Progress], None] | None
) -> tuple[Created, Prepared, Manifest]:
    layout = node.service(service)
    repository = own_repository(layout)
    borg = Borg(repository, on_progress, lock_wait_seconds=READERS_SECONDS_MAX)
    check_counters = partial(_check_counters, repository, grant)
    check_counters()
    bring_to_rest(borg)
    resolve(borg, layout, service, check_counters)
    with prepare(source_spec(node, service), layout.root / "reading") as source:
        if not source.paths:
            raise NotFound(
                f"nothing of {service} could be read: {'; '.join(str(failure.error) for failure in source.failures)}"
            )
        number = f"{grant.epoch}.{next_sequence(chain_of(node, service), grant)}"
        archive = archive_name(service, number, utc_text(node.clock.now()), time.monotonic_ns())
        before = before_borg(source, aged_now(node))
        saved.begin(layout, archive)
        created = borg.create(archive, source.paths, cwd=source.cwd, exclude=source.exclude, comment=comment(before))
        manifest = after_borg(before, source, _warned(created))
        if not manifest.whole:
            check_counters()
            add_companion(Borg(repository), layout, archive, manifest)
        saved.end(layout, archive, manifest)
        return created, source, manifest


def _check_counters(repository: Repository, grant: Grant) -> None:
    check_nonce(next_nonce(repository), grant.epoch)


def aged_now(node: Node) -> Aged:
    """What tells the archives of wrong clocks apart: the age of this machine, and its start."""
    machine = hashlib.sha256(f"{node.name} {machine_id()}".encode()).hexdigest()[:12]
    return Aged(node.ageing.now(), machine, node.clock.boot_id())


def bring_to_rest(borg: Borg) -> None:
    """An adopted repository has no index yet, and a killed run leaves segments that were never committed, a killed
    tidying the `config` without borg's reserve.

    It may also leave its borg, still reading the dumps and snapshots that the next run would remove: wait for its end.
    """
    put_back_reserve(borg.repository.path)
    try:
        at_rest = not committed(borg.repository.path).beyond and not is_locked(borg.repository.path)
    except IntegrityError:
        at_rest = False
    if not at_rest:
        borg.recover()


def source_spec(node: Node, service: str) -> SourceSpec:
    """What this node reads for `service`, by the bundle."""
    found = node.bundle.terms(service).service
    paths = own_paths(node, found) if is_implicit(found) else found.paths
    below = "" if is_implicit(found) or not node.layout.machine.exists() else str(node.layout.machine)
    return SourceSpec(found.name, found.kind, paths, found.exclude, found.database, _server(node, service), below)


def _server(node: Node, service: str) -> PostgresServer:
    """The host's own, or that of a database which moves between hosts."""
    moves = node.form(service) is DATABASE
    return PostgresServer(host=database_socket(service), port=DATABASE.port) if moves else PostgresServer()


def _left_out(created: Created, source: Prepared) -> tuple[LeftOut, ...]:
    """What borg warned of and what the walk found before, each path once."""
    warned = _warned(created)
    named = {item.path for item in warned}
    return (*warned, *(item for item in source.left_out if item.path not in named))


def _warned(created: Created) -> tuple[LeftOut, ...]:
    return tuple(LeftOut("/" + warning.path.lstrip("/"), warning.reason) for warning in created.warnings)


def tidy(node: Node, service: str) -> tuple[str, ...]:
    """Forget what the retention does not keep, compact, and seal when that freed segments: their room is free then.

    Return the names of the archives forgotten. Peers keep what they keep. It needs little room itself: borg's reserve
    is lifted, and what only sealed folders name is let go where there is none. Raise Refused while most of the service
    is gone at its source, unless the disk is nearly full.
    """
    layout = node.service(service)
    if why := tidy_paused(node, service, shutil.disk_usage(layout.root).free):
        remedy = f"If that was meant, as root: `appliance backup confirm {service}`. If not, bring back what is gone."
        raise Refused(why, remedy=remedy)
    with Lines(node) as lines, locked(layout.lock, what=f"the service {service}"), mendable(service):
        _refuse_opening(node, service)
        chain = chain_of(node, service)
        grant = own_grant(node, chain)
        compare(node, service, chain, lines)
        with reserve_lifted(layout.repository):
            forgotten = with_room(layout, lambda: _forget(node, service, grant))
            with_room(layout, lambda: compact(node, service, Borg(own_repository(layout))))
        sealed = seal_compacted(node, service, chain, grant)
    generation = str(sealed.header.id) if sealed else ""
    node.journal.write("tidied", service=service, archives=len(forgotten), generation=generation)
    return forgotten


def _forget(node: Node, service: str, grant: Grant) -> tuple[str, ...]:
    repository = own_repository(node.service(service))
    retention = node.bundle.terms(service).service.retention
    check_retention(retention)
    check_nonce(next_nonce(repository), grant.epoch)
    borg = Borg(repository)
    drop_checkpoints(borg)
    resolve(borg, node.service(service), service, partial(_check_counters, repository, grant))
    return forget(borg, service, retention, needed(node, service))


def needed(node: Node, service: str) -> frozenset[str]:
    """The archives that stay whatever the retention says: what a restore that has not ended still takes, and what a
    service that has shrunk is compared with."""
    return pinned(node.service(service).restores) | frozenset(must_stay(node, service))


def compact(node: Node, service: str, borg: Borg) -> None:
    """Free the space of what was forgotten; announced, since sealed files go."""
    will_compact(node.service(service))
    borg.compact(COMPACT_THRESHOLD_PERCENT)


def push_newest(node: Node, service: str, lines: Lines | None = None) -> tuple[Pushed, ...]:
    """Bring the newest sealed generation to every target that has not acknowledged it; on `lines` when given."""
    chain = chain_of(node, service)
    sealed = chain.newest()
    if sealed is None:
        raise NotFound(f"{service} has no sealed generation yet.", remedy="Run `appliance backup run`.")
    with noted(node, service):
        remember_cut(node, service, chain, sealed)
    folder = node.service(service).sealed / sealed.header.id.name
    receipts = {receipt.holder for receipt in chain.receipts(sealed.header.id, _keys(node))}
    peers = [aim.node for aim in current_targets(node, service) if aim.node not in receipts]
    with Lines(node) as own:
        pushed = push_all(lines or own, chain, sealed, folder, peers)
    for outcome in pushed:
        if isinstance(outcome.error, Overtaken):
            note_overtaken(node, service, outcome.error)
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
    receipts = chain.receipts(sealed.header.id, _keys(node)) if sealed else ()
    holders = (receipt.holder for receipt in receipts)
    whole = sealed is None or saved.known(node.service(service), sealed.header).whole
    return judge(node.bundle, service, node.name, holders, lost_now(node, service), whole=whole)


def tell_safety(node: Node, service: str, newest: Sealed) -> Safety:
    """Write down how safe the generation `newest` is."""
    safety = safety_of(node, service)
    node.journal.write("backup", service=service, generation=str(newest.header.id), state=str(safety))
    return safety


def _keys(node: Node) -> dict[str, str]:
    return {name: member.keys.sign for name, member in node.bundle.members.items()}
