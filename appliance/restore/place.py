"""Put files in place without ever destroying what is there: it is kept first, then replaced in one rename.

Three steps over the same tree, each safe to cut and to repeat. `survey` says what placing will do. `keep_all` gives
everything that will be replaced a second name in a folder of ours (a copy, on another disk) while it still stands in
its place. `place_all`, when that is durable, renames the new files over the old ones. No name is ever without a file,
except where a folder gives way to a file or the reverse: then the old one is moved aside first.

All walk by open folders and names inside them, never by paths: a user who swaps a folder for a symlink meanwhile cannot
lead a restore that runs as root out of the share.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from appliance.errors import ApplianceError, Forbidden, NoSpace, Refused
from appliance.host.command import run
from appliance.units import DAY

Change = Literal["new", "replace"]
OUR_MARK = ".appliance-restore"
_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
CANNOT_LINK = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP)


class TargetChanged(ApplianceError):
    """Somebody changed the target between the two passes; the next run starts from what is there now."""


def survey(stage: Path, live: Path) -> dict[str, Change]:
    """{path: whether placing it makes or replaces something}; a folder that is new counts once, with all in it.

    Raise Refused when a folder of the stage is a symlink in `live`.
    """
    changes: dict[str, Change] = {}
    with open_folder(stage) as new, open_folder(live, follow=True) as old:
        _survey(new, old, "", changes)
    return changes


def keep_all(live: Path, changes: Mapping[str, Change], kept: Path) -> None:
    """Keep in `kept`, at the same paths, everything of `live` that will be replaced."""
    with open_folder(live, follow=True) as old:
        for path, change in changes.items():
            if change == "replace":
                with contextlib.suppress(FileNotFoundError), walk_to(old, path) as (folder, name):
                    _keep(folder, name, path, live, kept)


def place_all(stage: Path, live: Path, kept: Path, changes: Mapping[str, Change]) -> None:
    """Move everything from `stage` to its place in `live`; an old file that changed since it was kept is kept again.

    Raise TargetChanged when something stands where the survey saw nothing.
    """
    with open_folder(stage) as new, open_folder(live, follow=True) as old:
        _place(new, old, "", live, kept, changes)


def relocate(stage: Path, path: str, place: str) -> None:
    """Move `path` of the stage, which is ours alone, to `place`, where nothing is; by a name of ours, for a folder may
    move into itself. Cut anywhere, the next call ends it."""
    aside = stage / f"{OUR_MARK}-{hashlib.sha256(os.fsencode(path)).hexdigest()}"
    if not os.path.lexists(aside) and not os.path.lexists(stage / place):
        os.rename(stage / path, aside)
    if os.path.lexists(aside):
        (stage / place).parent.mkdir(parents=True, exist_ok=True)
        os.rename(aside, stage / place)


def move_away(live: Path, path: str, kept: Path) -> None:
    """Take `path` out of `live` and keep it in `kept`; nothing happens when it is not there."""
    with (
        contextlib.suppress(FileNotFoundError),
        open_folder(live, follow=True) as old,
        walk_to(old, path) as (folder, name),
    ):
        _keep(folder, name, path, live, kept)
        _unlink(folder, name)


def clean_up(live: Path, changes: Mapping[str, Change]) -> None:
    """Remove the copies that were under way to their places on another disk."""
    with open_folder(live, follow=True) as old:
        for path in {path.rpartition("/")[0]: path for path in changes}.values():
            with contextlib.suppress(FileNotFoundError, Refused), walk_to(old, path) as (folder, _):
                _remove(folder, OUR_MARK)


def _survey(new: int, old: int, above: str, changes: dict[str, Change]) -> None:
    for name, here, there in _pairs(new, old):
        path = f"{above}{name}"
        if there is None:
            changes[path] = "new"
        elif stat.S_ISDIR(here.st_mode) and stat.S_ISLNK(there.st_mode):
            raise _is_a_link(path)
        elif _are_folders(here, there):
            with _open_in(new, name) as inner_new, _open_in(old, name) as inner_old:
                _survey(inner_new, inner_old, f"{path}/", changes)
        else:
            changes[path] = "replace"


def _place(new: int, old: int, above: str, live: Path, kept: Path, changes: Mapping[str, Change]) -> None:
    for name, here, there in _pairs(new, old):
        path = f"{above}{name}"
        if there is not None and changes.get(path) == "new":
            raise TargetChanged(f'"{path}" appeared while it was restored.', remedy="Run the restore again.")
        if there is not None and _are_folders(here, there):
            with _open_in(new, name) as inner_new, _open_in(old, name) as inner_old:
                os.fchmod(inner_new, 0o700)  # emptied and removed below, whatever its mode was to be
                _place(inner_new, inner_old, f"{path}/", live, kept, changes)
                _remove(inner_new, OUR_MARK)  # a copy to here that was cut
            os.rmdir(name, dir_fd=new)
            continue
        if there is not None and (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino):
            os.unlink(name, dir_fd=new)  # two names of one file: rename would do nothing
            continue
        if there is not None:
            _keep(old, name, path, live, kept)
            if stat.S_ISDIR(here.st_mode):
                _unlink(old, name)  # a folder cannot be renamed over a file
        _move(new, name, old)


def _pairs(new: int, old: int) -> Iterator[tuple[str, os.stat_result, os.stat_result | None]]:
    """Each name in the folder `new`, what it is there, and what it is in `old`."""
    for name in sorted(os.listdir(new)):
        here = _status(new, name)
        if here is not None and name != OUR_MARK:
            yield name, here, _status(old, name)


def _is_a_link(path: str) -> Refused:
    return Refused(
        f'"{path}" is now a link, and a restore never follows links.',
        remedy="Restore to a folder of its own, or remove the link.",
    )


def _are_folders(one: os.stat_result, other: os.stat_result) -> bool:
    return stat.S_ISDIR(one.st_mode) and stat.S_ISDIR(other.st_mode)


def _keep(folder: int, name: str, path: str, live: Path, kept: Path) -> None:
    """Give `name` in `folder` a second name below `kept`, at the same path; a folder is moved there whole.

    A state that was kept before under that path is never overwritten: another one goes to `kept`-1, -2, ...
    """
    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    for number in range(1_000_000):
        place = kept.with_name(f"{kept.name}-{number}") if number else kept
        with _scaffold(live, place, path) as shelf:
            there = _status(shelf, name)
            if there is None:
                _shelve(folder, name, shelf, status)
                return
            if same_file(status, there):
                return


def _shelve(folder: int, name: str, shelf: int, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        _move(folder, name, shelf)
        return
    try:
        os.link(name, name, src_dir_fd=folder, dst_dir_fd=shelf, follow_symlinks=False)
    except OSError as error:
        if error.errno not in CANNOT_LINK:
            raise
        _copy(folder, name, shelf)


def _move(source: int, name: str, target: int) -> None:
    """Rename, or on another disk copy under a name of ours, rename that, and remove the original."""
    try:
        _rename(source, name, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(source, name, target)
        _remove(source, name)


def _rename(source: int, name: str, target: int) -> None:
    try:
        os.rename(name, name, src_dir_fd=source, dst_dir_fd=target)
    except PermissionError:
        status = os.stat(name, dir_fd=source, follow_symlinks=False)
        if not stat.S_ISDIR(status.st_mode) or status.st_mode & stat.S_IWUSR:
            raise
        # A folder that its owner cannot write cannot change its parent either, unless root moves it.
        with _open_in(source, name) as folder:
            os.fchmod(folder, stat.S_IMODE(status.st_mode) | stat.S_IWUSR)
            os.rename(name, name, src_dir_fd=source, dst_dir_fd=target)
            os.fchmod(folder, stat.S_IMODE(status.st_mode))


def _copy(source: int, name: str, target: int) -> None:
    """Copy with everything that belongs to it; it gets its name when it is whole and on the disk.

    A copy that was cut goes on: a folder of a night's work must not begin at its first file again each evening.
    """
    _keep_what_is_whole(source, name, target)
    folders = f"/proc/{os.getpid()}/fd"
    words = ("cp", "--archive", "--update=none", "--no-target-directory", "--", f"{folders}/{source}/{name}")
    run((*words, f"{folders}/{target}/{OUR_MARK}"), timeout_seconds=DAY, check=True)
    run(("sync", "--file-system", f"{folders}/{target}"), timeout_seconds=DAY, check=True)
    os.rename(OUR_MARK, name, src_dir_fd=target, dst_dir_fd=target)


def _keep_what_is_whole(source: int, name: str, target: int) -> None:
    """Keep the whole files of an earlier copy of this folder; keep nothing of any other file there."""
    here, there = _status(source, name), _status(target, OUR_MARK)
    if here and there and _are_folders(here, there) and there.st_uid == os.geteuid():
        with _open_in(source, name) as one, _open_in(target, OUR_MARK) as other:
            _remove_unfinished(one, other)
    else:
        _remove(target, OUR_MARK)


def _remove_unfinished(source: int, copy: int) -> None:
    for name in os.listdir(copy):
        here, there = _status(source, name), _status(copy, name)
        if here and there and _are_folders(here, there):
            with _open_in(source, name) as one, _open_in(copy, name) as other:
                _remove_unfinished(one, other)
        elif not (here and there and _is_whole(here, there) and _attributes(source, name) == _attributes(copy, name)):
            _remove(copy, name)


def _is_whole(here: os.stat_result, there: os.stat_result) -> bool:
    """cp gives a file its time after its content, and then its owner and mode."""
    if not stat.S_ISREG(here.st_mode):
        return False
    one, other = ((it.st_size, it.st_mtime_ns, it.st_uid, it.st_gid, it.st_mode) for it in (here, there))
    return one == other


def _attributes(folder: int, name: str) -> list[str]:
    return sorted(os.listxattr(f"/proc/self/fd/{folder}/{name}", follow_symlinks=False))


def _unlink(folder: int, name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


def _remove(folder: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return
    except IsADirectoryError:
        shutil.rmtree(name, dir_fd=folder)


def same_file(one: os.stat_result, other: os.stat_result) -> bool:
    """Whether `other` is a second name, or a faithful copy, of `one`."""
    if (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino):
        return True
    alike = (one.st_mode, one.st_size, one.st_mtime_ns) == (other.st_mode, other.st_size, other.st_mtime_ns)
    return alike and not stat.S_ISDIR(one.st_mode)


@contextlib.contextmanager
def named_errors(target: Path) -> Iterator[None]:
    """Turn what the operating system says while `target` is changed into Forbidden or NoSpace."""
    try:
        yield
    except PermissionError as error:
        raise Forbidden(
            f"{error.filename or target} cannot be changed by this account.",
            remedy="Run the command again as the owner of the share or as root.",
        ) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoSpace(
                "the disk is full.", where=str(target), remedy="Free space, then run the command again."
            ) from error
        raise


@contextlib.contextmanager
def _scaffold(live: Path, place: Path, path: str) -> Iterator[int]:
    """The folder below `place` that matches the one of `path`; made with the attributes of the one in `live`."""
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        here = stack.enter_context(open_folder(place))
        there = stack.enter_context(open_folder(live, follow=True))
        for part in path.split("/")[:-1]:
            there = stack.enter_context(_open_in(there, part))
            if _status(here, part) is None:
                os.mkdir(part, 0o700, dir_fd=here)
                _copy_attributes(there, here, part)
            here = stack.enter_context(_open_in(here, part))
        yield here


def _copy_attributes(model: int, parent: int, name: str) -> None:
    status = os.fstat(model)
    with _open_in(parent, name) as folder:
        with contextlib.suppress(PermissionError):  # a plain account keeps its own
            os.fchown(folder, status.st_uid, status.st_gid)
        os.fchmod(folder, stat.S_IMODE(status.st_mode))
        for attribute in os.listxattr(model):
            with contextlib.suppress(OSError):  # security.* needs a power that a plain account lacks
                os.setxattr(folder, attribute, os.getxattr(model, attribute))


@contextlib.contextmanager
def walk_to(root: int, path: str) -> Iterator[tuple[int, str]]:
    """The open folder that holds `path` below `root`, and its last name; never through a symlink."""
    *parts, name = path.split("/")
    with contextlib.ExitStack() as stack:
        folder = root
        for part in parts:
            folder = stack.enter_context(_open_in(folder, part))
        yield folder, name


@contextlib.contextmanager
def open_folder(path: Path, *, follow: bool = False) -> Iterator[int]:
    """`follow` for the root of a share, which its administrator may have made a link."""
    fd = os.open(path, _OPEN_FOLDER & ~os.O_NOFOLLOW if follow else _OPEN_FOLDER)
    try:
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def _open_in(folder: int, name: str) -> Iterator[int]:
    try:
        fd = os.open(name, _OPEN_FOLDER, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise _is_a_link(name) from error
        raise
    try:
        yield fd
    finally:
        os.close(fd)


def _status(folder: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
