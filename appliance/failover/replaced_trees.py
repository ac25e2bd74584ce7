"""Trees that moves put aside: what lay where a takeover brought the files of a service, kept beside them for people.

Each return leaves one, of the size of the service. The newest stays whole. Each saved file of an older one goes: one
that the last sealed archive of the epoch in which it was written, the newest one or a branch here has with the same
size and time. A file that is in none of them stays under its path, however old, and is reported until a person removes
it.

Invariant: a file is removed only while its size and time are those that were found saved, and only once this node has
sealed under its present grant and that is held. The saved files are looked up before older repositories go, since the
archive that a tree was saved in may be left in those alone. The finding is kept in `replaced-trees/`: the agent, which
may read everything, looks; the program that may remove files of others (`appliance internal restore expire`) does so by
that list, and writes nothing there: that folder is closed to it.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path

from appliance.backup.chain.chain import Chain, chain_of
from appliance.backup.chain.continuation import is_orphaned
from appliance.backup.peers.adopt import open_aside, own_repository
from appliance.backup.sources.excludes import expressions, matcher
from appliance.backup.writer.replaced import is_succeeded, replaced_repositories
from appliance.borg.answers import is_below
from appliance.borg.client import Borg
from appliance.borg.model import Item, Repository
from appliance.borg.names import is_numbered
from appliance.borg.names import number_of as generation_of
from appliance.branches.archive import is_same, walk
from appliance.branches.store import branches
from appliance.errors import IntegrityError, Refused
from appliance.failover.forms.known_forms import contents_of
from appliance.host.files import locked, make_private_folder, write_atomic
from appliance.host.layout import ServiceLayout
from appliance.host.records import Record
from appliance.monitor.view import PutAside
from appliance.node.handle import Node
from appliance.programs.install_share import number_of
from appliance.restore.place import open_folder, walk_to

NOT_OURS = (errno.EACCES, errno.EPERM, errno.EROFS)

type Saved = Callable[[str, Path], bool]
"""Whether the file that was at this path, as an archive has it, and lies there now, is saved."""


@dataclass(frozen=True)
class Tree:
    """`place` and `number`: by which the newest of those of one folder is told. `path`: where the service has it."""

    folder: Path
    place: Path
    number: int
    path: str


@dataclass(frozen=True)
class Known:
    """The trees that were looked at, by a mark of each."""

    trees: Mapping[str, PutAside] = field(default_factory=dict)


KNOWN = Record(Known, 1)


def trees_of(node: Node, service: str) -> tuple[Tree, ...]:
    """Return the trees that moves put aside of `service`, each place's oldest first."""
    found = (it for place, path in contents_of(node, service).replaced(node, service) for it in _trees_at(place, path))
    return tuple(sorted(found, key=lambda it: (it.place, it.number)))


def _trees_at(place: Path, path: str) -> Iterator[Tree]:
    with suppress(FileNotFoundError):
        for name in os.listdir(place.parent):
            if (number := number_of(place.name, name)) is not None:
                yield Tree(place.with_name(name), place, number, path)


def put_aside(layout: ServiceLayout) -> tuple[PutAside, ...]:
    """The trees that were looked at and are there still, as far as this account may see that."""
    return tuple(it for it in _load(layout).values() if not _is_gone(Path(it.folder)))


def look_at_trees(node: Node, service: str) -> None:
    """Count the trees that were not looked at yet, and note which files of them are saved."""
    layout = node.service(service)
    with _locked(layout):
        known = _load(layout)
        new = [it for it in trees_of(node, service) if _mark(it.folder) not in known]
        if new and is_succeeded(node, service):
            with _evidence(node, service, {it.path for it in new}) as saved:
                known |= {_mark(it.folder): _look(node, service, it, saved) for it in new}
        _keep_left(layout, known)


def _keep_left(layout: ServiceLayout, known: Mapping[str, PutAside]) -> None:
    """Keep what is known of trees that are there; one from which all went that was listed is counted again."""
    there = {mark: it for mark, it in known.items() if not _is_gone(Path(it.folder))}
    swept = {mark for mark, it in there.items() if _is_swept(_list_of(layout, mark), Path(it.folder))}
    for mark in swept:
        _list_of(layout, mark).unlink()
    _keep(layout, {mark: _counted_again(it) if mark in swept else it for mark, it in there.items()})


def _is_swept(listed: Path, folder: Path) -> bool:
    with suppress(FileNotFoundError), open(listed) as lines:
        return not any(_is_left(folder, *json.loads(line)) for line in lines)
    return False


def _is_left(folder: Path, path: str, size: int, mtime_ns: int) -> bool:
    with suppress(FileNotFoundError, NotADirectoryError):
        return _as_it_was((folder / path).lstat(), size, mtime_ns)
    return False


def forget_trees(node: Node, service: str) -> tuple[str, ...]:
    """Remove what is saved of all but the newest tree of each place; the folders of those from which something went.

    A file that this account may not remove stays for one that may, and its list with it.
    """
    layout = node.service(service)
    with _locked(layout):
        gone = _forget_due(node, service)
        _keep_left(layout, _load(layout))
    return gone


def sweep_trees(node: Node, service: str) -> tuple[str, ...]:
    """The same by an account to which the folder of the lists is closed: they stay until the agent looks again."""
    lock = _room(node.service(service)) / "lock"
    if not lock.exists():
        return ()
    with open(lock) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        return _forget_due(node, service)


def _forget_due(node: Node, service: str) -> tuple[str, ...]:
    layout = node.service(service)
    known = _load(layout)
    listed = {
        it.folder: _list_of(layout, mark)
        for it in older(trees_of(node, service))
        if (mark := _mark(it.folder)) in known
    }
    due = {folder: file for folder, file in listed.items() if file.exists()}
    if not due or not is_succeeded(node, service):
        return ()
    return tuple(str(folder) for folder, file in due.items() if _forget(file, folder))


def older(trees: Iterable[Tree]) -> tuple[Tree, ...]:
    """All but the newest of each place. Pure."""
    every = tuple(trees)
    newest = {it.place: it.number for it in sorted(every, key=lambda it: it.number)}
    return tuple(it for it in every if it.number < newest[it.place])


def _look(node: Node, service: str, tree: Tree, saved: Iterable[Saved]) -> PutAside:
    excluded = matcher(expressions(node.bundle.terms(service).service.exclude, tree.path))
    found, sizes, lost = list[list[str | int]](), list[int](), list[tuple[str, int]]()
    for file in walk(tree.folder):
        below = str(file.relative_to(tree.folder))
        path = f"{tree.path.strip('/')}/{below}"
        status = file.lstat()
        sizes.append(status.st_size)
        if not _holds_something(status) or any(it(path, file) for it in saved):
            found.append([below, status.st_size, status.st_mtime_ns])
        elif not (excluded and excluded.search(path)):
            lost.append((below, status.st_size))
    lines = "".join(json.dumps(it) + "\n" for it in found)
    write_atomic(_list_of(node.service(service), _mark(tree.folder)), lines.encode(), mode=0o600)
    first = min(lost)[0] if lost else ""
    return PutAside(str(tree.folder), len(sizes), sum(sizes), len(lost), sum(size for _, size in lost), first)


def _holds_something(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)


@contextmanager
def _evidence(node: Node, service: str, paths: Iterable[str]) -> Iterator[tuple[Saved, ...]]:
    """Where files at `paths` may be saved: branches, the repository of today, and those that moves put aside."""
    layout, chain, below = node.service(service), chain_of(node, service), [path.strip("/") for path in paths]
    room = _room(layout) / "borg"
    try:
        kept = [partial(_is_in_branch, it.folder) for it in branches(node.layout, service)]
        today = _newest_items(own_repository(layout), service, below, lambda archive: True)
        before, is_held = [], partial(_is_held, cache(partial(_continued, node, service, chain)))
        for number, path in enumerate(reversed(replaced_repositories(layout))):
            with suppress(IntegrityError):  # one that was put aside damaged proves nothing
                aside = open_aside(layout, path, room / str(number))
                before.append(_newest_items(aside, service, below, is_held))
        yield (*kept, *(partial(_is_in_archive, items) for items in (today, *before)))
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _newest_items(
    repository: Repository, service: str, below: Iterable[str], counts: Callable[[str], bool]
) -> Mapping[str, Item]:
    """Return the items of the newest archive that counts at the paths `below`."""
    borg, wanted = Borg(repository), tuple(below)
    names = reversed([it.name for it in borg.archives() if is_numbered(it.name, service)])
    if not (newest := next(filter(counts, names), "")):
        return {}
    return {it.path: it for it in borg.items(newest) if any(is_below(it.path, path) for path in wanted)}


def _is_held(continued: Callable[[int], int], archive: str) -> bool:
    """Whether a generation has the archive that all have: one of a run that never sealed is in its repository alone."""
    epoch, sequence = generation_of(archive)
    return sequence <= continued(epoch)


def _continued(node: Node, service: str, chain: Chain, epoch: int) -> int:
    """The sequence of the last generation of `epoch` if the history of today goes on from it, 0 otherwise: then what
    that had was held by all."""
    last = max((name for name in chain.names() if name.startswith(f"{epoch:05d}.")), default="")
    return int(last.split(".")[1]) if last and is_orphaned(node, service, last) is False else 0


def _is_in_archive(items: Mapping[str, Item], path: str, file: Path) -> bool:
    item = items.get(path)
    return item is not None and item.kind in ("file", "hardlink", "symlink") and is_same(items, item, file)


def _is_in_branch(branch: Path, path: str, file: Path) -> bool:
    with suppress(OSError):
        theirs, ours = (branch / path).lstat(), file.lstat()
        if stat.S_ISLNK(theirs.st_mode) or stat.S_ISLNK(ours.st_mode):
            return os.readlink(branch / path) == os.readlink(file)
        return stat.S_ISREG(theirs.st_mode) and _as_it_was(theirs, ours.st_size, ours.st_mtime_ns)
    return False


def _as_it_was(status: os.stat_result, size: int, mtime_ns: int) -> bool:
    return (status.st_size, status.st_mtime_ns) == (size, mtime_ns)


def _forget(listed: Path, folder: Path) -> bool:
    """Remove from `folder` what is `listed` as saved, and folders that hold nothing; whether something went."""
    try:
        with open_folder(folder) as root, open(listed) as lines:
            gone = [_unlink(root, *json.loads(line)) for line in lines]
        _remove_empty(folder)
    except OSError as error:
        if error.errno in NOT_OURS:
            return False
        raise
    return any(gone)


def _unlink(root: int, path: str, size: int, mtime_ns: int) -> bool:
    with suppress(FileNotFoundError, Refused), walk_to(root, path) as (above, name):
        if _as_it_was(os.stat(name, dir_fd=above, follow_symlinks=False), size, mtime_ns):
            os.unlink(name, dir_fd=above)
            return True
    return False


def _remove_empty(folder: Path) -> None:
    with open_folder(folder) as root:
        for _, folders, _, here in os.fwalk(".", topdown=False, dir_fd=root):
            for name in folders:
                _rmdir(name, here)
    _rmdir(folder, None)


def _rmdir(name: str | Path, above: int | None) -> None:
    """Remove the folder where it is empty; a link to one is none."""
    try:
        os.rmdir(name, dir_fd=above)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.ENOTDIR):
            raise


def _counted_again(it: PutAside) -> PutAside:
    sizes = [file.lstat().st_size for file in walk(Path(it.folder))]
    return replace(it, files=len(sizes), bytes=sum(sizes))


# The file `replaced-trees/known.json`, and a list beside it for each tree of which something may go.


def _locked(layout: ServiceLayout) -> AbstractContextManager[None]:
    return locked(make_private_folder(_room(layout)) / "lock", what="what moves put aside", wait=True)


def _room(layout: ServiceLayout) -> Path:
    return layout.root / "replaced-trees"


def _list_of(layout: ServiceLayout, mark: str) -> Path:
    return _room(layout) / f"{mark}.saved"


def _mark(folder: Path) -> str:
    """Another tree of the same name is another one: a person may have removed the newest."""
    return f"{folder.name}.{folder.lstat().st_ino}"


def _is_gone(folder: Path) -> bool:
    try:
        folder.lstat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def _load(layout: ServiceLayout) -> dict[str, PutAside]:
    """Nothing where it cannot be read: then all trees are looked at again."""
    return dict(KNOWN.load_or(_room(layout) / "known.json", Known()).trees)


def _keep(layout: ServiceLayout, known: Mapping[str, PutAside]) -> None:
    """Write it down, and let go of lists of trees that are gone."""
    if known or _load(layout):
        KNOWN.save(_room(layout) / "known.json", Known(known))
    for listed in _room(layout).glob("*.saved"):
        if listed.name.removesuffix(".saved") not in known:
            listed.unlink()
