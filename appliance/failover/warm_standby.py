"""The warm standby: files that this node may have to serve next are in place ahead, so a takeover renames a tree and
extracts no archive.

The tree of a service is brought forward with each generation that comes, and by the takeover itself, by what `borg
diff` says was changed since the archive it was made from. How long that takes follows from the change, not from the
size of the service; the price is a second copy on this disk (docs/decisions/0047-laid-out-ahead.md). A tree that cannot
be brought forward is made again from nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

from appliance.backup.chain.chain import chain_of
from appliance.backup.chain.proven import HELD, Proven
from appliance.backup.peers.fetch import keep_history, read_held
from appliance.backup.peers.openable import newest_of, open_apart
from appliance.backup.vault.replicas import replica_of
from appliance.backup.writer.filling import filling_of
from appliance.borg.client import Borg
from appliance.borg.contents import Contents, Examination, WayBlocked
from appliance.borg.model import Archive, Item, Outline
from appliance.errors import ApplianceError, NoSpace, Refused
from appliance.failover.forms.known_forms import contents_of
from appliance.host.files import fsync_folder, locked, make_private_folder, write_atomic
from appliance.node.handle import Node
from appliance.programs.install_share import INSTALLING
from appliance.restore.fill import Fill, install_fills
from appliance.restore.place import open_folder, walk_to
from appliance.units import format_bytes

type Choose = Callable[[Sequence[Archive]], Archive]
type Complete = Callable[[Borg, Archive], tuple[Fill, ...]]
"""Finds the files of a partial archive that come from older ones."""

SAVED_EACH = 8
"""Files that are read between two savings of what was found: up to 500 MB each."""
LEFT_FREE = 0.1
"""The part of its disk that a warm standby leaves free: the disk also takes the backups of others."""


@dataclass(frozen=True)
class _Installed:
    """The generation in place, where it is known, and ids of archives: none with nothing to go on from."""

    generation: str = ""
    archives: tuple[str, ...] = ()
    fills: tuple[Fill, ...] = ()


def nothing(borg: Borg, archive: Archive) -> tuple[Fill, ...]:
    return ()


@dataclass(frozen=True)
class Tree:
    """`folder` holds all of the first archive in `mark`; while there are more, some of it is as in those. Files that a
    partial archive lacks are there too, from the archives that have them, and are in the mark.

    The mark also names the generation whose newest archive it is, in full, as sides of a fork have the same number: a
    caller that wants that one need not have borg list any.
    """

    folder: Path
    mark: Path

    def bring(
        self, borg: Borg, choose: Choose, generation: str = "", complete: Complete = nothing, *, spare: bool = False
    ) -> bool:
        """Have in the folder all of the archive that `choose` takes of all, the newest of `generation`, with what
        `complete` finds for it, and nothing else; return whether only changes had to be written.

        Cut anywhere, the next call goes on from there. Raise NoSpace, nothing done, when `spare` and all of it would
        have to be extracted on a disk that has little free.
        """
        was = self._installed()
        if generation and was.generation == generation:
            return True
        archives = borg.archives()
        archive = choose(archives)
        if was.archives == (archive.id,):
            self._remember(replace(was, generation=generation))
            return True
        ids, fills = {it.id: it.name for it in archives}, complete(borg, archive)
        known = bool(was.archives) and all(it in ids for it in was.archives)
        changed = _changed(borg, [ids[it] for it in was.archives], archive.name) if known else None
        brought = changed is not None and self._bring_forward(borg, archive, was, changed, fills)
        if not brought:
            self._install_from_nothing(borg, archive.name, spare=spare)
            install_fills(borg, archive.name, fills, self.folder, privileges=False)
        self._remember(_Installed(generation, (archive.id,), fills))
        return brought

    def _bring_forward(
        self, borg: Borg, archive: Archive, was: _Installed, changed: _Changed, fills: tuple[Fill, ...]
    ) -> bool:
        """Whether that went. A filled file stays only where it would be filled with the same; after a cut nobody knows
        how far it is."""
        self._remember(_Installed("", tuple(dict.fromkeys((*was.archives, archive.id))), (*was.fills, *fills)))
        same = set(was.fills) & set(fills) if len(was.archives) == 1 else set()
        for fill in set(was.fills) - same:
            _remove(self.folder, fill.path)
        _make_way(self.folder, changed.paths)
        try:
            borg.extract_only(archive.name, _with_folders(changed.paths), self.folder, changed.seen)
            left = [it for it in fills if it not in same]
            install_fills(borg, archive.name, left, self.folder, privileges=False)
        except WayBlocked:  # a link lies there that `borg diff` did not name
            return False
        return True

    @contextmanager
    def taken(
        self, borg: Borg, choose: Choose, generation: str = "", complete: Complete = nothing
    ) -> Iterator[tuple[Path, tuple[Fill, ...]]]:
        """The folder as `bring` has it, to move away what is in it, and what in it is from older archives; the rest is
        removed."""
        with self._locked():
            self.bring(borg, choose, generation, complete)
            filled = self._installed().fills
            self._forget()
            yield self.folder, filled
            shutil.rmtree(self.folder, ignore_errors=True)

    def install_ahead(
        self, borg: Borg, choose: Choose, generation: str = "", complete: Complete = nothing, *, spare: bool = True
    ) -> bool:
        """As `bring`; for a takeover that may come, or, not `spare`, that is under way."""
        with self._locked():
            return self.bring(borg, choose, generation, complete, spare=spare)

    def _locked(self) -> AbstractContextManager[None]:
        make_private_folder(self.mark.parent)
        return locked(self.mark.with_suffix(".lock"), what="what is laid out ahead", wait=True)

    def _install_from_nothing(self, borg: Borg, archive: str, *, spare: bool) -> None:
        self._forget()
        shutil.rmtree(self.folder, ignore_errors=True)
        make_private_folder(self.folder)
        allow = partial(_check_room, self.folder) if spare else _any_size
        borg.extract(archive, (), self.folder, privileges=False, allow=allow)

    def _installed(self) -> _Installed:
        with suppress(OSError, ValueError, TypeError, KeyError):
            if self.folder.is_dir():
                told = json.loads(self.mark.read_bytes())
                fills = tuple(Fill(str(path), str(archive)) for path, archive in told.get("fills", ()))
                return _Installed(str(told["generation"]), tuple(map(str, told["archives"])), fills)
        return _Installed()

    def _remember(self, installed: _Installed) -> None:
        fills = [[it.path, it.archive] for it in installed.fills]
        told = {"generation": installed.generation, "archives": list(installed.archives), "fills": fills}
        write_atomic(self.mark, json.dumps(told).encode(), mode=0o600)

    def _forget(self) -> None:
        self.mark.unlink(missing_ok=True)
        fsync_folder(self.mark.parent)


def tree_of(node: Node, service: str) -> Tree:
    """Where `service` is laid out ahead on this node: beside where it would be served, to come there by a rename."""
    rooms, beside = node.service(service).root, contents_of(node, service).staging
    return Tree(Path(beside, INSTALLING, f"{service}.room") if beside else rooms / "ready", rooms / "ready.json")


def install_ahead(node: Node, service: str) -> bool:
    """Lay the newest generation held here out ahead; return whether only changes had to be written."""
    learn_ahead(node, service)
    opened = open_apart(node, service, node.service(service).root / "ahead")
    borg = Borg(opened.repository)
    try:
        tree = tree_of(node, service)
        return tree.install_ahead(borg, lambda archives: newest_of(archives, service), opened.name, completing(service))
    finally:
        _read_ahead(node, service)


def learn_ahead(node: Node, service: str) -> None:
    """At a standby, know the history of what is held here: a takeover then reads and writes only what came since. A
    home has its own history, which tells it whether it wrote last."""
    terms = node.bundle.last_terms(service)
    if node.name in terms.standbys and node.name != terms.origin:
        with suppress(ApplianceError):  # a header that rotted here is the scrub's to tell, and a takeover asks others
            keep_history(node, service, chain_of(node, service))


def completing(service: str) -> Complete:
    """Return the function that finds replacements for what an archive of `service` lacks."""
    return lambda borg, archive: filling_of(borg, service, archive.name).fills


def _read_ahead(node: Node, service: str) -> None:
    """Read what is held of the newest generation and was not read yet, or not for a month: a takeover then need not."""
    with suppress(ApplianceError):  # nothing is held by who has its own
        entries, proven = read_held(node, service).entries, Proven(node, service)
        proven.forget_oldest(HELD, entries)
        for number, entry in enumerate(entries, start=1):
            with suppress(OSError):
                proven.is_right(HELD, entry, replica_of(node, service).blob(entry.sha256))
            if number % SAVED_EACH == 0 or number == len(entries):  # hours of reading at first, and it may be cut
                proven.save(HELD, entries)


@dataclass(frozen=True)
class _Changed:
    """All that may be otherwise in the tree than in an archive, all of which was `seen`."""

    paths: frozenset[str]
    seen: Examination


def _changed(borg: Borg, laid: list[str], archive: str) -> _Changed | None:
    """None when names of it are not known exactly. Raise IntegrityError for an archive that must not be laid."""
    first = laid[0]
    names: dict[str, set[str]] = {}
    with ThreadPoolExecutor(1) as beside:  # each starts a borg, and somebody may wait
        seen = beside.submit(borg.examined, archive, on_item=partial(_note_names, names))
        found = frozenset().union(*(borg.differences(first, it) for it in (*laid[1:], archive) if it != first))
        examined = seen.result()
    found |= frozenset().union(*(it for it in names.values() if it & found))
    return None if any("?" in it or not _is_inside(it) for it in found) else _Changed(found, examined)


def _note_names(names: dict[str, set[str]], item: Item | Outline) -> None:
    """All names of each file that has several: extracted alone, one would become a file of its own."""
    if item.kind == "hardlink":
        names.setdefault(item.link_target, {item.link_target}).add(item.path)


def _is_inside(path: str) -> bool:
    pure = PurePosixPath(path)
    return not pure.is_absolute() and ".." not in pure.parts


def _make_way(folder: Path, changed: frozenset[str]) -> None:
    """Remove `changed` from `folder`, but itself and folders that hold something else; no link is followed."""
    with open_folder(folder) as root:
        folders = [path for path in sorted(changed - {"."}) if not _unlink(root, path)]
        for path in reversed(folders):
            with suppress(OSError, Refused), walk_to(root, path) as (above, name):
                os.rmdir(name, dir_fd=above)


def _unlink(root: int, path: str) -> bool:
    """Remove anything that is not a folder; return whether no folder is there. A file behind a link is no part of the
    tree."""
    with suppress(FileNotFoundError, Refused), walk_to(root, path) as (above, name):
        if _is_folder(above, name):
            return False
        os.unlink(name, dir_fd=above)
    return True


def _remove(folder: Path, path: str) -> None:
    """Remove `path` with all below it, and follow no link on the way."""
    with suppress(FileNotFoundError, Refused), open_folder(folder) as root, walk_to(root, path) as (above, name):
        if _is_folder(above, name):
            shutil.rmtree(name, dir_fd=above)
        else:
            os.unlink(name, dir_fd=above)


def _is_folder(above: int, name: str) -> bool:
    return stat.S_ISDIR(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode)


def _with_folders(changed: frozenset[str]) -> list[str]:
    """`changed`, and at the end the folders above them, whose times are otherwise by now."""
    above = {str(folder) for it in changed for folder in PurePosixPath(it).parents}
    return [*sorted(changed - above), *sorted(above)]


def _any_size(contents: Contents) -> None:
    pass


def _check_room(folder: Path, contents: Contents) -> None:
    disk = shutil.disk_usage(folder)
    room = disk.free - round(LEFT_FREE * disk.total)
    if contents.size > room:
        may = format_bytes(max(room, 0))
        raise NoSpace(
            f"its warm standby would take {format_bytes(contents.size)}, and {may} may be used for that.",
            where=str(folder),
            remedy="A takeover still works, but takes longer. Give this node a larger disk to shorten it.",
        )
