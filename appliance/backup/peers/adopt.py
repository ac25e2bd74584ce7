"""Turn a generation into a repository: to write on (adopt) or only to read (open).

Adopting continues the same repository under a new grant: no re-upload, no new key, deduplication kept. The order
matters: a NEW folder holds exactly the generation's list (copying over an old repository gives check errors), the
grant's nonce floor is durable in it before it gets its name (borg's counter can then never meet one that an earlier
writer used), and borg starts with an empty base folder holding only the key file (one that saw a newer manifest
refuses an older copy).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from appliance.backup.chain.chain import Sealed
from appliance.borg.model import Repository
from appliance.borg.nonce import write_nonce
from appliance.escrow.envelopes import ServiceKey, read_key, write_key
from appliance.host.files import fsync_folder, link_own, make_private_folder, write_atomic
from appliance.host.layout import ServiceLayout
from appliance.programs.install_share import next_of
from appliance.trust.generation import Entry
from appliance.trust.grant import Grant

Locate = Callable[[Entry], Path]


def adopt(layout: ServiceLayout, sealed: Sealed, locate: Locate, key: ServiceKey, grant: Grant) -> Repository:
    """Make the repository of `layout` the one of `sealed`, to be continued under `grant`; return it opened.

    `locate` tells where the bytes of an entry lie (a staging folder, a pool), on the same filesystem. A repository that
    was there is kept beside it, as `replaced-EPOCH`, and never written again. Safe to repeat and to interrupt: until
    the last rename the old one stands.
    """
    new = layout.root / "repository.new"
    shutil.rmtree(new, ignore_errors=True)
    _link_out(sealed.entries, locate, new)
    write_nonce(new, grant.nonce_floor)
    _fsync_tree(new)
    shutil.rmtree(layout.borg_base, ignore_errors=True)
    install_key(layout, key)
    if layout.repository.exists():
        os.rename(layout.repository, free_name(layout.root / f"replaced-{grant.epoch}"))
    os.rename(new, layout.repository)
    fsync_folder(layout.root)
    return own_repository(layout)


def open_copy(layout: ServiceLayout, sealed: Sealed, locate: Locate, key: ServiceKey) -> Repository:
    """A read-only view of `sealed` under `opened/`: data files are links into the holding, config and README copies.

    The view of an older generation is brought forward in place: the index that borg built for it stays, and borg
    replays only the segments that came since.
    """
    view = make_private_folder(layout.opened / "repository")
    base = layout.opened / "borg"
    wanted = {entry.path for entry in sealed.entries if entry.path.startswith("data/")}
    for path in sorted(view.glob("data/*/*")):
        if str(path.relative_to(view)) not in wanted or not path.exists():
            path.unlink()
    for entry in sealed.entries:
        target = view / entry.path
        if entry.path in ("config", "README"):
            shutil.copyfile(locate(entry), target)
        elif entry.path in wanted and not target.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(locate(entry).resolve())
    _put_keyfile(base, key)
    return Repository(view, base, key.passphrase, bypass_lock=True, blobs=linked_folders(view))


def linked_folders(view: Path) -> tuple[Path, ...]:
    """The folders where the data files lie to which those of `view` are links."""
    return tuple(sorted({Path(os.readlink(file)).parent for file in view.glob("data/*/*")}))


def own_repository(layout: ServiceLayout) -> Repository:
    """The repository this node writes."""
    return Repository(layout.repository, layout.borg_base, read_key(layout.key).passphrase)


def open_aside(layout: ServiceLayout, repository: Path, base: Path) -> Repository:
    """A repository of the service that was put aside, to read from; `base` is new. The reader brings unfinished writes
    in it to rest, so it is locked like any other."""
    key = read_key(layout.key)
    _put_keyfile(base, key)
    return Repository(repository, base, key.passphrase)


def install_key(layout: ServiceLayout, key: ServiceKey) -> None:
    """Keep the service's key, readable by this node only, and hand it to borg. Another one there is kept beside."""
    if (layout.key / "keyfile").exists() and read_key(layout.key) != key:
        os.rename(layout.key, free_name(layout.root / "replaced-key"))
    write_key(layout.key, key)
    _put_keyfile(layout.borg_base, key)


def _put_keyfile(base: Path, key: ServiceKey) -> None:
    folder = make_private_folder(base / ".config" / "borg" / "keys")
    write_atomic(folder / "service", key.keyfile.reveal(), mode=0o600)


def _link_out(entries: Iterable[Entry], locate: Locate, target: Path) -> None:
    make_private_folder(target)
    for entry in entries:
        path = target / entry.path
        if entry.path.startswith("data/"):
            path.parent.mkdir(parents=True, exist_ok=True)
            link_own(locate(entry), path)
        elif entry.path in ("config", "README"):
            shutil.copyfile(locate(entry), path)
            path.chmod(0o600)


def _fsync_tree(folder: Path) -> None:
    for path, _, names in os.walk(folder):
        for name in names:
            fd = os.open(os.path.join(path, name), os.O_RDONLY)
            os.fsync(fd)
            os.close(fd)
        fsync_folder(Path(path))


def free_name(path: Path) -> Path:
    """`path`, or the first of path.1, path.2, ... that is free."""
    free, number = path, 0
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}.{number}")
    return free


def next_name(path: Path) -> Path:
    """`path`, or path.N with the next number above those that are there: the highest is the newest."""
    return path.with_name(next_of(path.name, os.listdir(path.parent)))
