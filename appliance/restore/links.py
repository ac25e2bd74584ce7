"""Names of one file are names of one file again: what goes to another disk is copied there name by name.

Which names belong together is written down while all of them still stand in the stage. Only a name whose file is still
as it was placed is joined: what somebody wrote meanwhile stays.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from appliance.errors import Refused
from appliance.restore.place import CANNOT_LINK, OUR_MARK, open_folder, same_file, walk_to

Group = tuple[str, ...]


def groups_of(stage: Path) -> tuple[Group, ...]:
    """The names in `stage` that are hard links of one file, the groups of two or more."""
    found: dict[tuple[int, int], list[str]] = {}
    for folder, _, names in os.walk(stage):
        for name in names:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            if status.st_nlink > 1 and stat.S_ISREG(status.st_mode):
                found.setdefault((status.st_dev, status.st_ino), []).append(os.path.relpath(path, stage))
    return tuple(tuple(sorted(names)) for names in found.values() if len(names) > 1)


def join(live: Path, groups: Iterable[Group]) -> None:
    """Make the names of each group hard links of one file in `live`, where they are on one disk and unchanged."""
    with open_folder(live, follow=True) as root:
        for first, *others in groups:
            for other in others:
                # A file that was moved, or leads elsewhere by now, is its owner's again.
                with contextlib.suppress(FileNotFoundError, Refused), _both(root, first, other) as (one, two):
                    _join(one, two)


def to_json(groups: Iterable[Group]) -> bytes:
    return json.dumps([list(it) for it in groups]).encode()


def from_json(raw: bytes) -> tuple[Group, ...]:
    return tuple(tuple(it) for it in json.loads(raw))


@contextlib.contextmanager
def _both(root: int, first: str, other: str) -> Iterator[tuple[tuple[int, str], tuple[int, str]]]:
    with walk_to(root, first) as one, walk_to(root, other) as two:
        yield one, two


def _join(one: tuple[int, str], two: tuple[int, str]) -> None:
    (here, name), (there, other) = one, two
    status = os.stat(name, dir_fd=here, follow_symlinks=False)
    present = os.stat(other, dir_fd=there, follow_symlinks=False)
    joined = (status.st_dev, status.st_ino) == (present.st_dev, present.st_ino)
    if joined or status.st_dev != present.st_dev or not same_file(status, present):
        return
    folder = os.stat(there)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(OUR_MARK, dir_fd=there)
    try:
        os.link(name, OUR_MARK, src_dir_fd=here, dst_dir_fd=there, follow_symlinks=False)
    except OSError as error:
        if error.errno not in CANNOT_LINK:
            raise
        return
    os.rename(OUR_MARK, other, src_dir_fd=there, dst_dir_fd=there)
    os.utime(there, ns=(folder.st_atime_ns, folder.st_mtime_ns))
