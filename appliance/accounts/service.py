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
from appliance.accounts.feed import act, observe, write_samba_list
from appliance.accounts.machine import Machine, decide, mark, people
from appliance.accounts.model import Account, Store
from appliance.accounts.store import read_or_new, read_store, write_store
from appliance.errors import Refused
from appliance.host.files import locked, make_private_folder

OTHERS, SAMBA_LIST, LOCK = "of", "smbpasswd", ".lock"


@dataclass(frozen=True)
class Desk:
    """Where the accounts of `node` lie: `file`, and beside it those of nodes that it stands in for.

    `feeds`: this machine is the node; elsewhere (nodes as plain processes) the store is kept and nothing is fed.
    """

    file: Path
    node: str
    feeds: bool

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


def change(desk: Desk, do: Callable[[Store], Store], *, dry_run: bool = False) -> Outcome:
    """Let `do` make this node's accounts of the present ones."""
    with _alone(desk):
        return _put(desk, {desk.node: do(desk.own)}, dry_run)


def feed(desk: Desk, *, dry_run: bool = False) -> Outcome:
    """Feed what asks for passwords from the accounts as they are."""
    with _alone(desk):
        return _put(desk, {}, dry_run)


def take(desk: Desk, file: Path, *, of: str = "", dry_run: bool = False) -> Outcome:
    """Take the accounts in `file`, from a backup: another node's, to stand in for it, or this node's own.

    Raise Refused when this node has accounts of its own already: they may be newer. With `of` it must be that node's.
    """
    found = _read_of(of, file) if of else read_store(file)
    with _alone(desk):
        if found.node == desk.node and desk.own.accounts:
            where = str(desk.file)
            raise Refused(
                f"{desk.node} already has accounts.", where=where, remedy="To replace them, move that file away."
            )
        return _put(desk, {found.node: found}, dry_run)


def take_brought(desk: Desk, files: Mapping[str, Path], *, dry_run: bool = False) -> Outcome:
    """Take the accounts in `files`, by the node whose they must be, to stand in for these nodes.

    Raise Refused when one holds another's.
    """
    found = {of: _read_of(of, file) for of, file in files.items()}
    with _alone(desk):
        return _put(desk, found, dry_run)


def _read_of(node: str, file: Path) -> Store:
    """The accounts in `file`; raise Refused when they are not of `node`."""
    found = read_store(file)
    if found.node != node:
        raise Refused(f"these are the accounts of {found.node}, not of {node}.", where=str(file))
    return found


def leave(desk: Desk, node: str, *, dry_run: bool = False) -> Outcome:
    """Stand in for `node` no more: its people come in here no longer. Raise NotFound when it does not."""
    with _alone(desk):
        if node == desk.node:
            raise Refused(f"{node} is this node itself.", remedy="To remove one: appliance account remove NAME")
        read_store(desk.file_of(node))
        return _put(desk, {node: None}, dry_run)


def _put(desk: Desk, new: Mapping[str, Store | None], dry_run: bool) -> Outcome:
    """Keep the stores `new`, None for one to forget, and feed all."""
    machine = observe() if desk.feeds else Machine()
    before, _ = people(desk.own, desk.others.values(), machine.taken)
    others = {node: store for node, store in {**desk.others, **new}.items() if store and node != desk.node}
    own = new.get(desk.node) or desk.own
    wanted, left_out = people(own, others.values(), machine.taken)
    changes = decide(wanted, desk.node, machine) if desk.feeds else None
    if not dry_run:
        _keep(desk, new)
    if changes is None:
        return Outcome(own, left_out=left_out)
    if not dry_run:
        act(changes)
    listed = write_samba_list(desk.samba_list, wanted, dry_run=dry_run)
    changed = (*changes.names, *((str(desk.samba_list),) if listed else ()))
    ended = () if dry_run else sessions.end(name for name, found in before.items() if _lost(found, wanted.get(name)))
    return Outcome(own, changed, left_out, ended)


def _keep(desk: Desk, new: Mapping[str, Store | None]) -> None:
    for node, store in new.items():
        if store is None:
            desk.file_of(node).unlink()
        else:
            write_store(desk.file_of(node), store)


def _lost(before: tuple[str, Account], after: tuple[str, Account] | None) -> bool:
    """Whether who logged in with `before` could do so no longer, or would be let into something else."""
    if after is None or after[1].disabled:
        return True
    return (before[0], before[1].nt_hash, before[1].groups) != (after[0], after[1].nt_hash, after[1].groups)


@contextmanager
def _alone(desk: Desk) -> Iterator[None]:
    make_private_folder(desk.file.parent)
    with locked(desk.file.parent / LOCK, what="the account store", wait=True):
        yield
