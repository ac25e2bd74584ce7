"""A voter's store is restored from one of its hourly copies, after most or all of the voters lost theirs."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from appliance.coordination.argv import Member, restore_argv
from appliance.errors import IntegrityError, NotFound, Refused
from appliance.host.command import run
from appliance.host.files import READ_SIZE, fsync_folder
from appliance.voter.etcd_admin import DIGEST_BYTES

TIMEOUT_SECONDS = 120.0
LISTENS_SECONDS_MAX = 3.0
UNFINISHED = ".restoring"
"""The remains of a cut restore beside the store; the next restore begins by removing them."""


@dataclass(frozen=True)
class Copy:
    """A copy of the store. All voters need the same one: `hash` and `revision` tell whether they have it."""

    path: Path
    hash: str
    revision: int


def look_at(path: Path) -> Copy:
    """Read and check the copy; raise NotFound, or IntegrityError for a file that is none or is damaged."""
    if not path.is_file():
        raise NotFound(
            "there is no such file.", where=str(path), remedy="Copies are in STATE/voter-care of each voter."
        )
    if not _is_whole(path):
        raise _damaged(path, "its hash does not match")
    told = run(("etcdutl", "snapshot", "status", str(path), "--write-out", "json"), timeout_seconds=TIMEOUT_SECONDS)
    try:
        fields = json.loads(told.stdout)
        return Copy(path, f"{int(fields['hash']):08x}", int(fields["revision"]))
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path, told.tail(1)) from error


def check_empty(member: Member) -> None:
    """Raise Refused where `member` remembers anything: what it promised since the copy would be forgotten."""
    if member.data.exists():
        raise Refused(
            f"the voter on {member.name} still has its data.",
            where=str(member.data),
            remedy="While most voters have their data, run the playbook `site`: the others start from it. If most have "
            "lost theirs, move that folder aside, and give this voter the same copy as all the others.",
        )


def restore(member: Member, copy: Copy) -> None:
    """Make the store of `member`, which has none, from `copy`: whole or not at all, and owned as the folder above it.

    Its revisions go on far above all that were ever quoted in grants (`restore_argv`).
    """
    check_empty(member)
    above = member.data.parent
    above.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = above / UNFINISHED
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        made = run(restore_argv(replace(member, data=unfinished), copy.path), timeout_seconds=TIMEOUT_SECONDS)
        if made.exit_code:
            raise Refused(f"etcdutl could not restore this copy: {made.tail(1)}", where=str(above))
        owner = above.stat()
        for path in _all_of(unfinished):
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
        unfinished.rename(member.data)
        fsync_folder(above)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)  # a part of it would only fill the disk


def check_all_rest(member: Member) -> None:
    """Raise Refused while any other voter listens: beside one that votes on, this one would vote from an old store."""
    if awake := [name for name in member.others if _listens(member.members[name])]:
        raise Refused(
            f"still running: {', '.join(awake)}.",
            remedy="While most voters have their data, run the playbook `site`. Else, on each: systemctl stop "
            "appliance-voter",
        )


def _listens(url: str) -> bool:
    at = urlsplit(url)
    try:
        with socket.create_connection((at.hostname, at.port or 0), LISTENS_SECONDS_MAX):
            return True
    except OSError:
        return False


def _is_whole(path: Path) -> bool:
    """Whether the hash that etcd appended to its file holds: what says how it stands does not look at it."""
    size = path.stat().st_size - DIGEST_BYTES
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while size > 0 and (piece := file.read(min(size, READ_SIZE))):
            digest.update(piece)
            size -= len(piece)
        return size == 0 and digest.digest() == file.read()


def _all_of(folder: Path) -> Iterator[Path]:
    yield folder
    yield from folder.rglob("*")


def _damaged(path: Path, why: str) -> IntegrityError:
    remedy = "Use another copy: of another hour, of another voter, or from a voter's backup."
    return IntegrityError(f"this is not a whole copy of a voter's store ({why}).", where=str(path), remedy=remedy)
