"""Bring a host to what its bundle says: look, decide, and change only what differs.

Invariant: what is in force has passed its check. A new text is checked beside the old one where its program can do
that; otherwise in place, and the old one comes back when the check fails. When a reload fails, every file of this run
that belongs to it comes back and is loaded again. The reloads that are owed are written down before the first file
changes, so that a run that was cut is finished by the next one.
"""

from __future__ import annotations

import grp
import json
import os
import pwd
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from appliance.errors import ApplianceError
from appliance.host import command
from appliance.host.command import CommandFailed
from appliance.host.files import fsync_folder, locked, write_atomic
from appliance.provision.files import CANDIDATE, Account, OwnedFolder, Part, WantedFile
from appliance.provision.observe import PresentFile, below, look, present
from appliance.provision.plan import Changes, decide

TIMEOUT_SECONDS = 60.0
LOCK = "/run/appliance-apply.lock"
type Run = Callable[[tuple[str, ...]], None]
"""Carry out an argv; raise ApplianceError when it fails."""


@dataclass(frozen=True)
class Host:
    """Where the files lie, and what carries out commands; tests have a folder and their own `run`."""

    root: Path
    run: Run

    def asked(self, argv: tuple[str, ...]) -> bool:
        try:
            self.run(argv)
        except CommandFailed:
            return False
        return True


def real_run(argv: tuple[str, ...]) -> None:
    command.run(argv, timeout_seconds=TIMEOUT_SECONDS, check=True)


THIS_HOST = Host(Path("/"), real_run)


@dataclass(frozen=True)
class Outcome:
    """The result of each part: a part that fails leaves the others to go on, for one may be a revocation."""

    changes: dict[str, Changes]
    failures: dict[str, ApplianceError]


def one_at_a_time(host: Host = THIS_HOST) -> AbstractContextManager[None]:
    """Wait until nobody else applies parts to `host`, then keep others waiting.

    The sources of the parts are read within it, too. A run that read a bundle before another run put the next one in
    force would bring back what that one took away: the keys of a node that was revoked, the network of a former
    operator.
    """
    return locked(below(host.root, LOCK), what="`appliance internal node apply`", wait=True)


def apply(parts: Iterable[Part], host: Host = THIS_HOST, *, enable: bool = False, dry_run: bool = False) -> Outcome:
    """Make `host` what `parts` say, one part after the other; with `dry_run` only say what would change.

    It is called within `one_at_a_time`. Without `enable` the units of the parts stay as they are: somebody may have
    stopped one.
    """
    changes: dict[str, Changes] = {}
    failures: dict[str, ApplianceError] = {}
    for part in parts:
        try:
            asked = part if enable else replace(part, units=())
            changes[part.name] = apply_part(asked, host, dry_run=dry_run)
        except ApplianceError as error:
            failures[part.name] = error
    return Outcome(changes, failures)


def apply_part(part: Part, host: Host, *, dry_run: bool = False) -> Changes:
    """Make `host` what `part` says and return what changed.

    Raise ApplianceError when a check or a reload fails: the files that it concerns are then what they were before.
    """
    owed = below(host.root, f"/run/appliance-apply.{part.name}.owed")  # in /run: a boot loads every file anyway
    changes = decide(part, look(host.root, part, host.asked), _owed(owed))
    if not dry_run:
        if changes.reloads:
            write_atomic(owed, json.dumps(changes.reloads).encode())
        _act(host, changes)
        owed.unlink(missing_ok=True)
    return changes


def _act(host: Host, changes: Changes) -> None:
    for account in changes.accounts:
        _make_account(host, account)
    for folder in changes.folders:
        _make_folder(host, folder)
    replaced = [(file, _replace(host, file)) for file in changes.files]
    for path in changes.remove:
        below(host.root, path).unlink(missing_ok=True)
        fsync_folder(below(host.root, path).parent)
    for argv in changes.reloads:
        _reload(host, argv, [(file, old) for file, old in replaced if file.reload == argv])
    if changes.units:
        host.run(("systemctl", "enable", "--now", "--no-reload", *changes.units))


def _replace(host: Host, file: WantedFile) -> PresentFile | None:
    """Put `file` in place once it is known to be good; return what was there before."""
    path = below(host.root, file.path)
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    old = present(path)
    if CANDIDATE in file.check:
        with _candidate(file) as beside:
            _check(host, file, tuple(beside if word == CANDIDATE else word for word in file.check))
    _write(path, file.text.encode(), file.mode, file.owner, file.group)
    if file.check and CANDIDATE not in file.check:
        try:
            _check(host, file, file.check)
        except BaseException:
            _restore(path, old)
            raise
    return old


def _check(host: Host, file: WantedFile, argv: tuple[str, ...]) -> None:
    try:
        host.run(argv)
    except CommandFailed as error:
        raise ApplianceError(f"the new file is not valid, so the old one stays: {error}", where=file.path) from error


@contextmanager
def _candidate(file: WantedFile) -> Iterator[str]:
    """The new text in a private folder under the file's own name, by which some programs tell what it is."""
    folder = tempfile.mkdtemp(prefix="appliance-")
    try:
        path = Path(folder, Path(file.path).name)
        write_atomic(path, file.text.encode(), mode=0o600)
        yield str(path)
    finally:
        shutil.rmtree(folder)


def _reload(host: Host, argv: tuple[str, ...], replaced: list[tuple[WantedFile, PresentFile | None]]) -> None:
    try:
        host.run(argv)
    except ApplianceError as error:
        for file, old in replaced:
            _restore(below(host.root, file.path), old)
        with suppress(ApplianceError):
            host.run(argv)
        names = ", ".join(file.path for file, _ in replaced) or " ".join(argv)
        raise ApplianceError(
            f"it could not be put in force, so the old one was put back: {error}", where=names
        ) from error


def _restore(path: Path, old: PresentFile | None) -> None:
    if old is None:
        path.unlink(missing_ok=True)
    else:
        _write(path, old.data, old.mode, old.owner, old.group)


def _write(path: Path, data: bytes, mode: int, owner: str, group: str) -> None:
    """Whole or not at all, and readable by nobody before it has its owner.

    Some folders belong to accounts of less right than ours: what we made is changed by its descriptor, never by a name
    behind which such an account could have put a link.
    """
    staged = path.with_name(f".{path.name}.appliance")
    staged.unlink(missing_ok=True)
    fd = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fchown(fd, _number(owner, pwd.getpwnam), _number(group, grp.getgrnam))
        os.fchmod(fd, mode)
        os.fsync(fd)
    os.replace(staged, path)
    fsync_folder(path.parent)


def _number(name: str, find: Callable[[str], Sequence[Any]]) -> int:
    """The number of an account or a group by its name; what had no name is known by its number."""
    try:
        return int(name) if name.isdigit() else int(find(name)[2])
    except KeyError as error:
        remedy = "Install the package of the appliance, which creates its accounts."
        raise ApplianceError(f"this machine has no account or group {name}.", remedy=remedy) from error


def _make_folder(host: Host, folder: OwnedFolder) -> None:
    """Changed by its descriptor, as files are: who owns the folder above could have put a link to another one."""
    path = below(host.root, folder.path)
    try:
        path.mkdir(mode=folder.mode, parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise ApplianceError(
            "this is not a folder.", where=folder.path, remedy="Check what it is, then remove it."
        ) from error
    try:
        os.fchown(
            fd,
            _number(folder.owner, pwd.getpwnam) if folder.owner else -1,
            _number(folder.group, grp.getgrnam) if folder.group else -1,
        )
        os.fchmod(fd, folder.mode)
    finally:
        os.close(fd)


def _make_account(host: Host, account: Account) -> None:
    """Without a password ("*"): "!" would call the account locked, and sshd may refuse its keys too."""
    groups = ("--groups", ",".join(account.groups)) if account.groups else ()
    if host.asked(("getent", "passwd", account.name)):
        host.run(("usermod", "--append", *groups, account.name))
        return
    place = ("--home-dir", account.home, "--no-create-home", "--shell", account.shell)
    host.run(("useradd", "--system", "--user-group", *place, "--password", "*", *groups, account.name))


def _owed(path: Path) -> tuple[tuple[str, ...], ...]:
    try:
        return tuple(tuple(argv) for argv in json.loads(path.read_bytes()))
    except (FileNotFoundError, ValueError):
        return ()
