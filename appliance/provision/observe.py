"""The present state of a host in what we render or depend on. `root` is "/" but in tests."""

from __future__ import annotations

import fnmatch
import grp
import pwd
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from appliance.provision import exporters, firewall, hosts
from appliance.provision.files import Account, OwnedFolder, Part
from appliance.provision.firewall import Snippet

_SYSTEMCTL, _RUNS = ("systemctl", "--quiet"), ("is-enabled", "is-active")
type Asked = Callable[[tuple[str, ...]], bool]
"""Whether a command exits with 0."""


@dataclass(frozen=True)
class Declared:
    """The declarations of this host's own files, which add to the bundle; `certified`: Prometheus' account has copies
    of its certificate."""

    hosts: str = ""
    operators: tuple[str, ...] = ()
    snippets: tuple[Snippet, ...] = ()
    certified: bool = False


@dataclass(frozen=True)
class PresentFile:
    data: bytes
    mode: int
    owner: str
    group: str


@dataclass(frozen=True)
class Present:
    """`files`: of each wanted path what is there; `folders`: those that are as wanted; `stray`: what lies in owned
    folders and nobody wants; `accounts`: those that are there with all their groups; `idle`: units that do not run, or
    will not at the next start; `out_of_force`: reloads of files whose effect the machine does not show.
    """

    files: dict[str, PresentFile | None] = field(default_factory=dict)
    folders: frozenset[str] = frozenset()
    stray: tuple[str, ...] = ()
    accounts: frozenset[str] = frozenset()
    idle: tuple[str, ...] = ()
    out_of_force: tuple[tuple[str, ...], ...] = ()


def declared(root: Path) -> Declared:
    """Read /etc/hosts and what roles wrote for the firewall; a file that is not there says nothing."""
    folder = below(root, firewall.SNIPPETS)
    found = sorted(folder.glob("*.nft")) if folder.is_dir() else []
    return Declared(
        hosts=_text(below(root, hosts.PATH)),
        operators=networks(_text(below(root, firewall.OPERATORS))),
        snippets=tuple(Snippet(path.name, path.read_text()) for path in found),
        certified=below(root, f"{exporters.TLS}/certificate.pem").exists(),
    )


def networks(text: str) -> tuple[str, ...]:
    """Return the networks that a file of operators names, one a line."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return tuple(line for line in lines if line)


def look(root: Path, part: Part, asked: Asked) -> Present:
    """Return what is there of `part`; `asked` carries out the questions of its files."""
    files = {file.path: present(below(root, file.path)) for file in part.files}
    return Present(
        files=files,
        folders=frozenset(folder.path for folder in part.folders if _is_there(root, folder)),
        stray=tuple(path for folder in part.folders for path in _stray(root, folder, files)),
        accounts=frozenset(account.name for account in part.accounts if _exists(account)),
        idle=tuple(unit for unit in part.units if not all(asked((*_SYSTEMCTL, it, unit)) for it in _RUNS)),
        out_of_force=tuple(file.reload for file in part.files if file.in_force and not asked(file.in_force)),
    )


def below(root: Path, path: str) -> Path:
    return root / path.lstrip("/")


def present(path: Path) -> PresentFile | None:
    """The plain file `path`; None for anything else: it is replaced."""
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return PresentFile(path.read_bytes(), stat.S_IMODE(status.st_mode), _user(status.st_uid), _group(status.st_gid))


def _stray(root: Path, folder: OwnedFolder, wanted: dict[str, PresentFile | None]) -> Iterable[str]:
    place = below(root, folder.path)
    names = sorted(path.name for path in place.iterdir()) if place.is_dir() else []
    paths = (f"{folder.path}/{name}" for name in names if fnmatch.fnmatchcase(name, folder.names))
    return (path for path in paths if path not in wanted)


def _is_there(root: Path, folder: OwnedFolder) -> bool:
    """Whether `folder` is there with its mode, and with its owner and group where it names any."""
    try:
        status = below(root, folder.path).lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    found = (stat.S_ISDIR(status.st_mode), stat.S_IMODE(status.st_mode), _user(status.st_uid), _group(status.st_gid))
    return found == (True, folder.mode, folder.owner or found[2], folder.group or found[3])


def _exists(account: Account) -> bool:
    try:
        pwd.getpwnam(account.name)
        return all(account.name in grp.getgrnam(group).gr_mem for group in account.groups)
    except KeyError:
        return False


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
