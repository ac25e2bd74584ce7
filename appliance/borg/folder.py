"""The facts in a repository's folder and its base folder, read without borg, and the sizes that its `config` gives
borg.

The reserve is for the day on which the disk is full: forgetting and compacting need room before they give any back.
While they have it (`reserve_lifted`), the `config` that was there is kept under another name beside it, by a hard link,
and comes back under its own in one rename: it is sealed with each generation, so not one byte of it may change. A cut
leaves both, and the next program that writes or seals puts it back first (`put_back_reserve`).
"""

from __future__ import annotations

import configparser
import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

from appliance.borg.errors import KeyMissing, RepositoryMissing
from appliance.borg.model import Repository
from appliance.host.files import fsync_folder, write_atomic
from appliance.units import MIB

SEGMENT_BYTES = 64 * MIB
"""Small enough that compaction and a resumed push move little; the default is 500 MiB."""
SPARE_BYTES = 64 * MIB
"""borg refuses to commit when less would remain, so that forgetting and compacting still work on a full disk."""
SMALL_SEGMENT_BYTES = 2 * MIB
"""borg also keeps back a segment and 20 MiB to compact, so it writes small segments where there is little room."""
LITTLE_ROOM_BYTES = 4 * SEGMENT_BYTES
OBJECT_BYTES_MAX = 20 * MIB
LIFTED = "config.reserve"


def keyfile(repository: Repository) -> Path:
    """The file in the base folder that holds this repository's key; raise KeyMissing."""
    first = f"BORG_KEY {repository_id(repository.path)}"
    for file in sorted(repository.base.glob(".config/borg/keys/*")):
        if file.read_text(errors="replace").startswith(first):
            return file
    raise KeyMissing("no keyfile for this repository.", where=str(repository.base))


def repository_id(path: Path) -> str:
    """The repository's id, 64 hexadecimal digits, from its `config`; raise NotFound when there is no repository."""
    config = configparser.ConfigParser(interpolation=None)
    try:
        config.read_string((path / "config").read_text())
        return config["repository"]["id"].strip()
    except (OSError, configparser.Error, KeyError) as error:
        raise RepositoryMissing("there is no repository here.", where=str(path)) from error


def index_bytes(path: Path) -> int:
    """The size of borg's index of the repository at `path`; 0 for one that has none yet."""
    return sum(file.stat().st_size for file in path.glob("index.*"))


def room_wanted(path: Path) -> int:
    """The bytes that borg wants to be free before it commits to the repository at `path`, once ten segments have
    something to compact."""
    return SPARE_BYTES + SEGMENT_BYTES + OBJECT_BYTES_MAX + 4 * index_bytes(path)


def set_sizes(path: Path) -> None:
    """Write our sizes into the `config` at `path`."""
    config = configparser.ConfigParser(interpolation=None)
    config.read_string(path.read_text())
    config["repository"]["max_segment_size"] = str(SEGMENT_BYTES)
    config["repository"]["additional_free_space"] = str(SPARE_BYTES)
    text = StringIO()
    config.write(text)
    write_atomic(path, text.getvalue().encode(), mode=0o600)


@contextlib.contextmanager
def reserve_lifted(path: Path) -> Iterator[None]:
    """Let borg use the reserve of the repository at `path` in the block, which only makes room."""
    put_back_reserve(path)
    os.link(path / "config", path / LIFTED)
    try:
        fsync_folder(path)
        write_atomic(path / "config", _without_reserve(path), mode=0o600)
        yield
    finally:
        put_back_reserve(path)


def put_back_reserve(path: Path) -> None:
    """Undo what a `reserve_lifted` that was cut left. Nothing else may run borg on the repository meanwhile."""
    if (path / LIFTED).exists():
        os.rename(path / LIFTED, path / "config")
        (path / LIFTED).unlink(missing_ok=True)  # two names of one file: then rename does nothing
        fsync_folder(path)


def _without_reserve(path: Path) -> bytes:
    text = (path / "config").read_text()
    sizes = {"additional_free_space": 0}
    if shutil.disk_usage(path).free < LITTLE_ROOM_BYTES:
        sizes["max_segment_size"] = SMALL_SEGMENT_BYTES
    for name, size in sizes.items():
        text = re.sub(rf"(?m)^({name} *=).*$", rf"\g<1> {size}", text)
    return text.encode()
