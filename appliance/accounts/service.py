"""The accounts of a node, changed and fed: one store, and everything that asks for a password follows it.

Which write comes first: what cannot be fed is refused before the store is written; the store is written before anything
is fed from it; who lost the right to be logged in is cut off last. Cut in between, the next feed ends what was begun.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from appliance.accounts import sessions
from appliance.accounts.groups import mark
from appliance.accounts.machine import Machine, decide, people
from appliance.accounts.model import Account, Store
from appliance.accounts.store import read_or_new, read_store, write_store
from appliance.accounts.sync import act, observe, write_samba_list
from appliance.errors import Refused
from appliance.host.files import locked, make_private_folder

OTHERS, SAMBA_LIST, LOCK = "of", "smbpasswd", ".lock"


@dataclass(frozen=True)
class AccountService:
    """Where the accounts of `node` lie: `file`, and beside it those of nodes that it stands in for.

    `syncs`: this machine is the node; elsewhere (nodes as plain processes) the store is kept and nothing is fed.
    """

    file: Path
    node: str
    syncs: bool

    @property
    def samba_list(self) -> Path:
        return self.file.parent / SAMBA_LIST

    @property
    def own(self) -> Store:
        """The accounts of this node."""
        return read_or_new(self.file, self.node)

    @property
    def others(self) -> dict[str, Store]:
        """The accounts of nodes that this one stands in for."""
        return {store.node: store for store in map(read_store, self._of_others())}

    @property
    def marks(self) -> tuple[object, ...]:
        """Another value as soon as any store here was replaced, added or removed."""
        marks = []
        for file in (self.file, *self._of_others()):
            with suppress(FileNotFoundError):
                found = file.stat()
                marks.append((file, found.st_ino, found.st_mtime_ns))
        return tuple(marks)

    def _of_others(self) -> list[Path]:
        return sorted((self.file.parent / OTHERS).glob("*.json"))

    def file_of(self, node: str) -> Path:
        return self.file if node == self.node else self.file.parent / OTHERS / f"{node}.json"


@dataclass(frozen=True)
class Outcome:
    """`changed`: system accounts, groups and files; `left_out`: a sentence each; `ended`: who was logged in."""

    own: Store
    changed: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    ended: tuple[str, ...] = ()

    @property
    def mark(self) -> str:
        return mark(self.own.node)


def change(service: AccountService, do: Callable[[Store], Store], *, dry_run: bool = False) -> Outcome:
    """Let `do` make this node's accounts of the present ones."""
    with _alone(service):
        return _put(service, {service.node: do(service.own)}, dry_run)


def sync(service: AccountService, *, dry_run: bool = False) -> Outcome:
    """Feed what asks for passwords from the accounts as they are."""
    with _alone(service):
        return _put(service, {}, dry_run)


def take(service: AccountService, file: Path, *, of: str = "", dry_run: bool = False) -> Outcome:
    """Take the accounts in `file`, from a backup: another node's, to stand in for it, or this node's own.

    Raise Refused when this node has accounts of its own already: they may be newer. With `of` it must be that node's.
    """
    found = _read_of(of, file) if of else read_store(file)
    with _alone(service):
        if found.node == service.node and service.own.accounts:
            where = str(service.file)
            raise Refused(
                f"{service.node} already has accounts.", where=where, remedy="To replace them, move that file away."
            )
        return _put(service, {found.node: found}, dry_run)


def take_brought(service: AccountService, files: Mapping[str, Path], *, dry_run: bool = False) -> Outcome:
    """Take the accounts in `files`, by the node whose they must be, to stand in for these nodes.

    Raise Refused when one holds another's.
    """
    found = {of: _read_of(of, file) for of, file in files.items()}
    with _alone(service):
        return _put(service, found, dry_run)


def _read_of(node: str, file: Path) -> Store:
    """The accounts in `file`; raise Refused when they are not of `node`."""
    found = read_store(file)
    if found.node != node:
        raise Refused(f"these are the accounts of {found.node}, not of {node}.", where=str(file))
    return found


def leave(service: AccountService, node: str, *, dry_run: bool = False) -> Outcome:
    """Stand in for `node` no more: its people come in here no longer. Raise NotFound when it does not."""
    with _alone(service):
        if node == service.node:
            raise Refused(f"{node} is this node itself.", remedy="To remove one: appliance account remove NAME")
        read_store(service.file_of(node))
        return _put(service, {node: None}, dry_run)


def _put(service: AccountService, new: Mapping[str, Store | None], dry_run: bool) -> Outcome:
    """Keep the stores `new`, None for one to forget, and feed all."""
    machine = observe() if service.syncs else Machine()
    before, _ = people(service.own, service.others.values(), machine.taken)
    others = {node: store for node, store in {**service.others, **new}.items() if store and node != service.node}
    own = new.get(service.node) or service.own
    wanted, left_out = people(own, others.values(), machine.taken)
    changes = decide(wanted, service.node, machine) if service.syncs else None
    if not dry_run:
        _keep(service, new)
    if changes is None:
        return Outcome(own, left_out=left_out)
    if not dry_run:
        act(changes)
    listed = write_samba_list(service.samba_list, wanted, dry_run=dry_run)
    changed = (*changes.names, *((str(service.samba_list),) if listed else ()))
    ended = () if dry_run else sessions.end(name for name, found in before.items() if _lost(found, wanted.get(name)))
    return Outcome(own, changed, left_out, ended)


def _keep(service: AccountService, new: Mapping[str, Store | None]) -> None:
    for node, store in new.items():
        if store is None:
            service.file_of(node).unlink()
        else:
            write_store(service.file_of(node), store)


def _lost(before: tuple[str, Account], after: tuple[str, Account] | None) -> bool:
    """Whether who logged in with `before` could do so no longer, or would be let into something else."""
    if after is None or after[1].disabled:
        return True
    return (before[0], before[1].nt_hash, before[1].groups) != (after[0], after[1].nt_hash, after[1].groups)


@contextmanager
def _alone(service: AccountService) -> Iterator[None]:
    make_private_folder(service.file.parent)
    with locked(service.file.parent / LOCK, what="the account store", wait=True):
        yield
