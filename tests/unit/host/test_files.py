"""Durable files: whole or not at all, whatever moment a process dies at."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from appliance.errors import Busy, NoSpace
from appliance.host import files
from appliance.host.files import (
    link_own,
    locked,
    make_private_folder,
    mark_of,
    read_at_once,
    sha256_file,
    write_atomic,
)

ROOT = Path(__file__).parents[3]


def test_a_pipe_of_somebody_elses_is_empty_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a")
    assert read_at_once(tmp_path / "a") == b""
    with open(os.open(tmp_path / "a", os.O_RDWR), "wb", buffering=0):
        assert read_at_once(tmp_path / "a") == b""


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755])
def test_a_file_has_its_content_and_its_mode_whatever_the_umask(tmp_path: Path, mode: int) -> None:
    before = os.umask(0o077)
    try:
        write_atomic(tmp_path / "a", b"content", mode=mode)
    finally:
        os.umask(before)
    assert (tmp_path / "a").read_bytes() == b"content"
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode
    assert os.listdir(tmp_path) == ["a"]


def test_a_reader_that_has_the_old_file_open_keeps_it(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a", b"old")
    with (tmp_path / "a").open("rb") as reader:
        write_atomic(tmp_path / "a", b"new")
        assert reader.read() == b"old"
    assert (tmp_path / "a").read_bytes() == b"new"


def test_a_link_is_replaced_and_what_it_points_to_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"precious")
    (tmp_path / "a").symlink_to("target")
    write_atomic(tmp_path / "a", b"new")
    assert (tmp_path / "target").read_bytes() == b"precious"
    assert not (tmp_path / "a").is_symlink()


@pytest.mark.parametrize("call", ["open", "write", "fsync", "rename"])
def test_a_kill_before_any_step_leaves_the_old_or_the_new_content(tmp_path: Path, call: str) -> None:
    """The process kills itself as it is about to make the call, the second time it writes."""
    script = """
import os, pathlib, signal, sys
from appliance.host import files
path, call = pathlib.Path(sys.argv[1]), sys.argv[2]
files.write_atomic(path, b"old")
def die(*args, **options):
    os.kill(os.getpid(), signal.SIGKILL)
if call == "write":
    os.fdopen = die
else:
    setattr(os, call, die)
files.write_atomic(path, b"new" * 100000)
"""
    path = tmp_path / "state"
    ended = subprocess.run([sys.executable, "-c", script, str(path), call], cwd=ROOT, timeout=30)
    assert ended.returncode == -signal.SIGKILL
    assert path.read_bytes() in (b"old", b"new" * 100000)
    write_atomic(path, b"after")
    assert path.read_bytes() == b"after"


def test_many_writers_never_mix_their_contents(tmp_path: Path) -> None:
    """Threads of one process too: the agent's loop and its signal handlers may write the same file."""
    contents = [bytes([65 + i]) * 100_000 for i in range(8)]
    failures: list[BaseException] = []

    def write(data: bytes) -> None:
        try:
            for _ in range(5):
                write_atomic(tmp_path / "a", data)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(data,)) for data in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert (tmp_path / "a").read_bytes() in contents
    assert os.listdir(tmp_path) == ["a"]


def test_a_full_disk_is_told_as_such_and_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_atomic(tmp_path / "a", b"old")

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(NoSpace, match=r"a: the disk is full"):
        write_atomic(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_private_folder_and_its_parents_are_the_owners_alone(tmp_path: Path) -> None:
    made = make_private_folder(tmp_path / "state" / "keys")
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in (made, made.parent)] == [0o700, 0o700]
    assert make_private_folder(made) == made


def test_sha256_of_a_file_is_what_sha256sum_prints(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc" * 1_000_000)
    printed = subprocess.run(["sha256sum", tmp_path / "a"], capture_output=True, text=True, check=True).stdout
    assert sha256_file(tmp_path / "a") == printed.split()[0]


def test_a_second_holder_is_told_what_is_in_use(tmp_path: Path) -> None:
    lock = tmp_path / "locks" / "a"
    with locked(lock, what="the pool"):
        _assert_busy(lock, "the pool is in use")
    with locked(lock, what="the pool"):
        pass


def test_readers_share_a_lock_and_keep_writers_out(tmp_path: Path) -> None:
    lock = tmp_path / "a"
    with locked(lock, what="the pool", shared=True), locked(lock, what="the pool", shared=True):
        _assert_busy(lock, "the pool is in use")


def test_the_folders_of_a_lock_are_private_to_the_first(tmp_path: Path) -> None:
    with locked(tmp_path / "services/docs-a/lock", what="it"):
        assert {(tmp_path / it).stat().st_mode & 0o777 for it in ("services", "services/docs-a")} == {0o700}


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    script = """
import pathlib, sys
from appliance.host.files import locked
with locked(pathlib.Path(sys.argv[1]), what="it"):
    print("held", flush=True)
    sys.stdin.read()
"""
    arguments = [sys.executable, "-c", script, str(tmp_path / "a")]
    pipe = subprocess.PIPE
    with subprocess.Popen(arguments, cwd=ROOT, stdin=pipe, stdout=pipe) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        _assert_busy(tmp_path / "a", "the pool is in use")
        holder.kill()
        with locked(tmp_path / "a", what="it", wait=True):
            pass


def test_a_program_started_meanwhile_does_not_keep_the_lock(tmp_path: Path) -> None:
    with locked(tmp_path / "a", what="it"):
        child = subprocess.Popen(["sleep", "60"])
    try:
        with locked(tmp_path / "a", what="it"):
            pass
    finally:
        child.kill()
        child.wait()


def _assert_busy(lock: Path, sentence: str) -> None:
    with pytest.raises(Busy, match=sentence), locked(lock, what="the pool"):
        pass


def test_only_a_file_of_ones_own_is_linked_and_anothers_is_copied(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_bytes(b"mine")
    link_own(own, tmp_path / "link")
    assert (tmp_path / "link").samefile(own)
    others = Path("/etc/os-release").resolve()
    if os.geteuid() == others.stat().st_uid:  # root may link what it likes, and must not
        others = tmp_path / "others"
        others.write_bytes(b"theirs")
        os.chown(others, 65534, -1)
    link_own(others, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == others.read_bytes()
    assert (tmp_path / "copy").stat().st_uid == os.geteuid()
    assert {it.name for it in tmp_path.iterdir()} <= {"own", "link", "others", "copy"}


def test_a_file_of_another_disk_is_copied(tmp_path: Path) -> None:
    disks = ("/dev/shm", "/var/tmp")
    other = next(it for it in disks if os.stat(it).st_dev != tmp_path.stat().st_dev)
    with tempfile.TemporaryDirectory(dir=other) as folder:
        own = Path(folder) / "own"
        own.write_bytes(b"mine")
        link_own(own, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"mine"


def test_a_folder_has_another_mark_once_something_came_was_replaced_or_went(tmp_path: Path) -> None:
    def settled() -> int:
        os.utime(tmp_path, (1000, 1000))
        return mark_of(tmp_path)

    old = settled()
    assert mark_of(tmp_path) == old
    write_atomic(tmp_path / "grant", b"1")
    assert mark_of(tmp_path) != old
    assert mark_of(tmp_path) != mark_of(tmp_path), "more may come in the same tick of the clock"
    assert settled() == old
    write_atomic(tmp_path / "grant", b"2")
    assert mark_of(tmp_path) != old
    assert settled() == old
    (tmp_path / "grant").unlink()
    assert mark_of(tmp_path) != old
    assert mark_of(tmp_path / "none") == 0
