"""Save the branches of a service once it is sealed itself and safe: in a generation of their own, after its own.

The service comes first: a failure here is reported and no failure of its backup, nothing is saved while a peer has no
room for more, and a branch that such a peer has not taken leaves the repository again. A branch that was refused here
is tried again after a week, with other limits in the bundle, or when somebody asks for a backup; until then each run
says why. A branch that a peer refused is tried again with other limits only: each try leaves a whole copy with the
peers that do take it, which share nothing with the one before and may drop none of it for a month, until they refuse
the service itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from appliance.backup.chain.chain import Chain, chain_of
from appliance.backup.peers.adopt import own_repository
from appliance.backup.peers.conversation import Lines
from appliance.backup.peers.push import Pushed
from appliance.backup.sources import Failure
from appliance.backup.writer.writer import (
    READERS_SECONDS_MAX,
    Run,
    bring_to_rest,
    compact,
    compare,
    own_grant,
    push_newest,
    repairable,
    seal_now,
    tell_safety,
)
from appliance.borg.client import Borg
from appliance.borg.names import branch_of
from appliance.borg.nonce import check_nonce, next_nonce
from appliance.branches.archive import (
    ASKED_SECONDS_MAX,
    SECONDS_MAX,
    added_bytes,
    common_archive,
    leaving,
    room_for,
    save_branch,
    saved_branches,
)
from appliance.branches.known import is_known
from appliance.branches.store import Branch, Settled, branches, settle
from appliance.clock import utc_seconds
from appliance.errors import ApplianceError, Busy, NoSpace, Postponed
from appliance.host.files import locked, write_atomic
from appliance.node.handle import Node
from appliance.trust.grant import Grant
from appliance.units import DAY

TRIED_AGAIN_SECONDS = 7 * DAY


def waits(node: Node, service: str) -> bool:
    """Whether a branch may have to be saved after a run: then that is a full one."""
    return any(not it.is_left for it in branches(node.layout, service))


def save_branches(node: Node, done: Run, *, again: bool = False, handing_over: bool = False) -> tuple[Failure, ...]:
    """Save those that the repository lacks, after the run `done`; what could not be, and why. Never raises.

    A generation sealed here is newer than the one that `done` judged: ask `safety_of` again. `again`: a person asks, so
    try again what was refused here before, and give it more time. `handing_over`: save none, since the last backup of a
    service that is being handed over needs the lock.
    """
    try:
        wanted = [it for it in branches(node.layout, done.service) if not it.is_left and any(it.folder.iterdir())]
        if not wanted:
            return ()
        with Lines(node) as lines:
            failures = tuple(_save_branches(_Run(node, done.service, lines), done, wanted, again, handing_over))
    except (ApplianceError, OSError) as error:
        failures = (Failure("its branches", _named(error)),)
    for failure in failures:
        node.journal.note("branch-unsaved", service=done.service, what=failure.what, error=str(failure.error))
    return failures


def _save_branches(run: _Run, done: Run, wanted: Sequence[Branch], again: bool, handing_over: bool) -> list[Failure]:
    if full := _full(done.pushed):
        return run.take_back(wanted, full)
    if done.failures or not done.safety.held or handing_over:
        return []
    with run.locked() as at:
        if at is None:
            return []
        failures, due = at.due(wanted, again)
        due = [it for it in due if not at.settle_known(it, done.created.archive)]
        if not due:
            return failures
        compare(run.node, run.service, at.chain, run.lines)
        bring_to_rest(at.borg)
        unsaved, saved = at.save(due, again)
        failures += unsaved
        if saved:
            at.seal()
    if not saved:
        return failures
    pushed = run.push()
    refused = run.take_back(saved, full, fresh=True) if (full := _full(pushed)) else []
    return failures + (refused or _unpushed(pushed))


def _unpushed(pushed: Iterable[Pushed]) -> list[Failure]:
    """Those peers that failed; one without room is handled apart, and one that takes the rest later has not failed."""
    follows = (NoSpace, Postponed)
    return [Failure("its branches", it.error) for it in pushed if it.error and not isinstance(it.error, follows)]


def _full(pushed: Iterable[Pushed]) -> tuple[str, ...]:
    return tuple(it.peer for it in pushed if isinstance(it.error, NoSpace))


@dataclass(frozen=True)
class _Run:
    node: Node
    service: str
    lines: Lines

    @contextmanager
    def locked(self) -> Iterator[_At | None]:
        """The repository, None while the service is being taken over."""
        layout = self.node.service(self.service)
        with locked(layout.lock, what=f"the service {self.service}"), repairable(self.service):
            yield None if layout.opening.exists() else _At.this(self.node, self.service)

    def take_back(self, wanted: Iterable[Branch], full: Sequence[str], *, fresh: bool = False) -> list[Failure]:
        """Seal the service without those of `wanted` that one of the peers `full` has not taken yet; `fresh`: none
        has."""
        missed = list[tuple[Branch, str, str]]()
        with self.locked() as at:
            if at is None:
                return []
            found = {branch_of(it.name): it for it in at.borg.archives(branches=True)}
            for branch in wanted:
                archive = found.get(branch.epoch)
                lacking = [it for it in full if archive and (fresh or not at.is_at(it, archive.start_utc_seconds))]
                if archive and lacking:
                    missed.append((branch, archive.name, lacking[0]))
            if not missed:
                return []
            # First the note: cut after the archive is gone, the next run would bring a new copy to those who take it.
            refused = [at.refuse(branch, self._refusal(branch, peer), peer) for branch, _, peer in missed]
            at.drop([archive for _, archive, _ in missed])
            at.seal()
        return refused + _unpushed(self.push())

    def push(self) -> tuple[Pushed, ...]:
        """Bring what was sealed here to the peers; it is the newest now, so the journal tells how safe that is."""
        pushed = push_newest(self.node, self.service, self.lines)
        if newest := chain_of(self.node, self.service).newest():
            tell_safety(self.node, self.service, newest)
        return pushed

    def _refusal(self, branch: Branch, peer: str) -> NoSpace:
        remedy = (
            f"Free space there, then raise quota of {self.service} in territory.yml and sign a bundle: it is not "
            f"retried until then; or, if it is not needed: {leaving(branch)}"
        )
        return NoSpace(f"{peer} has no space for it.", where=str(branch.folder), remedy=remedy)


@dataclass(frozen=True)
class _At:
    """The repository of one service, under its lock."""

    node: Node
    service: str
    chain: Chain
    grant: Grant
    borg: Borg

    @classmethod
    def this(cls, node: Node, service: str) -> _At:
        chain = chain_of(node, service)
        grant, repository = own_grant(node, chain), own_repository(node.service(service))
        check_nonce(next_nonce(repository), grant.epoch)
        return cls(node, service, chain, grant, Borg(repository, lock_wait_seconds=READERS_SECONDS_MAX))

    def due(self, wanted: Iterable[Branch], again: bool) -> tuple[list[Failure], list[Branch]]:
        """Return, of those that the repository lacks, the ones refused before, and the ones to try now."""
        there = saved_branches(self.borg)
        lacking = [(it, self._refused(it, again)) for it in wanted if it.epoch not in there]
        return [Failure(_name(it), why) for it, why in lacking if why], [it for it, why in lacking if not why]

    def settle_known(self, branch: Branch, served: str) -> bool:
        """Note that nothing of it is here alone, where it is so: nobody has to decide about what all have. `served`:
        the archive that was just made."""
        service = self.node.bundle.terms(self.service).service
        if not service.paths:
            return False
        base = common_archive(self.chain, self.borg, branch.epoch)
        if not is_known(self.borg, base.name if base else "", served, branch.folder, service.paths):
            return False
        settle(branch, Settled(merged=True, known=True), self.node.clock.now(), self.node.journal)
        return True

    def save(self, due: Iterable[Branch], again: bool) -> tuple[list[Failure], list[Branch]]:
        """Return the failures, and the branches in the repository now: one at most, since a move waits for it."""
        failures, saved = list[Failure](), list[Branch]()
        was_read = False
        for branch in due:
            if was_read:
                later = Busy("another branch had its turn.", remedy="The next backup saves it.")
                failures.append(Failure(_name(branch), later))
                continue
            try:
                unread = self._save(branch, ASKED_SECONDS_MAX if again else SECONDS_MAX)
            except (ApplianceError, OSError) as error:
                failures.append(self.refuse(branch, _named(error)))
                was_read = not isinstance(error, NoSpace)
                continue
            was_read = True
            branch.refused.unlink(missing_ok=True)
            saved.append(branch)
            if unread:
                failures.append(Failure(_name(branch), ApplianceError(f"not all of it could be read: {unread}")))
        return failures, saved

    def _save(self, branch: Branch, seconds_max: float) -> str:
        """The first file that could not be read, and why; "" when all were."""
        newest = self.chain.newest()
        terms, layout = self.node.bundle.terms(self.service), self.node.service(self.service)
        room = room_for(terms, newest.header.bytes if newest else 0, layout.root)
        room.check(branch, added_bytes(self.borg, branch.folder))
        try:
            made = save_branch(self.borg, branch, self.node.clock.now(), seconds_max)
        except ApplianceError:
            bring_to_rest(self.borg)  # what was written of it goes at once
            raise
        try:
            room.check(branch, made.deduplicated_bytes)
        except NoSpace:
            self.drop([made.archive])
            raise
        return next((f"{it.path}: {it.reason}" for it in made.warnings), "")

    def is_at(self, peer: str, since: float) -> bool:
        """Whether `peer` signed for a generation that was sealed after `since`, UTC seconds."""
        for name in reversed(self.chain.names()):
            if utc_seconds(self.chain.header(name).time) < int(since):  # a header tells whole seconds
                return False
            if self.chain.has_receipt(name, peer):
                return True
        return False

    def drop(self, archives: Sequence[str]) -> None:
        self.borg.delete(archives)
        compact(self.node, self.service, self.borg)

    def seal(self) -> None:
        sealed = seal_now(self.node, self.service, self.chain, self.grant)
        self.node.journal.write(
            "sealed", service=self.service, generation=str(sealed.header.id), bytes=sealed.header.bytes, left_out=0
        )

    def refuse(self, branch: Branch, error: ApplianceError, peer: str = "") -> Failure:
        """Note why, so that not each run reads all of it again; a lock is gone by the next one. `peer`: who refused it,
        "" when that was here."""
        if isinstance(error, Busy):
            return Failure(_name(branch), error)
        told = {
            "time": self.node.clock.now(),
            "limits": self._limits(),
            "peer": peer,
            "error": error.what,
            "remedy": error.remedy,
        }
        with suppress(OSError):
            write_atomic(branch.refused, json.dumps(told).encode())
        return Failure(_name(branch), error)

    def _refused(self, branch: Branch, again: bool) -> ApplianceError | None:
        """Why it is not tried now."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            told = json.loads(branch.refused.read_bytes())
            recent = abs(self.node.clock.now() - told["time"]) < TRIED_AGAIN_SECONDS
            if told["limits"] == self._limits() and (told["peer"] or (recent and not again)):
                return ApplianceError(told["error"], where=str(branch.folder), remedy=told["remedy"])
        return None

    def _limits(self) -> list[int]:
        terms = self.node.bundle.terms(self.service)
        return [terms.quota_bytes, terms.daily_bytes]


def _name(branch: Branch) -> str:
    return f"branch {branch.epoch}"


def _named(error: ApplianceError | OSError) -> ApplianceError:
    return error if isinstance(error, ApplianceError) else ApplianceError(f"{error.strerror or error}.")
