"""The agent reads from a snapshot that root's helper made; without one it reads the tree in use, and says why."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from appliance.backup.sources.snapshot_client import take


@pytest.fixture
def shares(tmp_path: Path) -> Path:
    """A share "docs" with a file, and a folder that stands for its snapshot, with an older state."""
    for place, text in (("shares/docs", "now"), ("shares/.snapshots/@GMT-2026.11.25-08.00.00/docs", "then")):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "file").write_text(text)
    return tmp_path / "shares"


@pytest.fixture
def snapshot(shares: Path) -> Path:
    return shares / ".snapshots/@GMT-2026.11.25-08.00.00"


@contextmanager
def helper(place: Path, answer: bytes) -> Iterator[Path]:
    """A helper that gives one caller `answer`."""
    path = place / "snapshot.sock"
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(path))
        door.listen()

        def serve() -> None:
            caller, _ = door.accept()
            with caller:
                caller.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield path
        thread.join(5)


def said(made: object) -> bytes:
    return json.dumps({"folders": [{"made": made}]}).encode()


def test_a_folder_is_seen_as_it_was_and_held_until_the_run_ends(shares: Path, snapshot: Path, tmp_path: Path) -> None:
    source, at = str(shares / "docs"), tmp_path / f"work/0{shares}/docs"
    with ExitStack() as held:
        with helper(tmp_path, said(str(snapshot))) as path:
            assert take(source, at, held, helper=path, shares=str(shares)) == ""
        assert (at / "file").read_text() == "then"
        assert not can_be_dropped(snapshot)
    assert can_be_dropped(snapshot)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (said(""), "no snapshot could be taken"),
        (said("/nowhere"), "no snapshot could be taken: "),
        (b"", "no snapshot could be taken: "),
        (b"null", "no snapshot could be taken: the answer is malformed"),
        (b'{"folders": []}', "no snapshot could be taken: the answer is malformed"),
    ],
)
def test_an_answer_without_a_snapshot_is_a_reason(shares: Path, tmp_path: Path, answer: bytes, reason: str) -> None:
    with ExitStack() as held, helper(tmp_path, answer) as path:
        found = take(str(shares / "docs"), tmp_path / f"work{shares}/docs", held, helper=path, shares=str(shares))
    assert found.startswith(reason)


def test_where_nobody_makes_snapshots_that_is_the_reason(shares: Path, tmp_path: Path) -> None:
    with ExitStack() as held:
        reason = take(
            str(shares / "docs"), tmp_path / "at", held, helper=tmp_path / "snapshot.sock", shares=str(shares)
        )
    assert reason == "no program takes snapshots here"


def test_what_lies_elsewhere_or_is_all_shares_together_is_not_asked_for(shares: Path, tmp_path: Path) -> None:
    with ExitStack() as held:
        for source in (str(tmp_path), str(shares), f"{shares}2/docs"):
            assert take(source, tmp_path / "at", held, shares=str(shares)) == f"it is not in {shares}"


def can_be_dropped(snapshot: Path) -> bool:
    fd = os.open(snapshot, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True
