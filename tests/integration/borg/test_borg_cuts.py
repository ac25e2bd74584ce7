"""A borg killed in the middle leaves nothing that the next run does not heal; a living one is never disturbed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from appliance.borg import argv, errors, locks
from appliance.borg.client import Borg
from appliance.borg.model import Repository
from appliance.borg.running import LOCK_TURN_SECONDS
from appliance.borg.segments import committed
from appliance.host.command import descendants


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the state waited for did not come"
        time.sleep(0.01)


@contextlib.contextmanager
def running_create(
    repository: Repository, archive: str, *options: str, sent: bytearray | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A borg in mid-create: it has stored something and waits for more on its standard input."""
    assert repository.passphrase is not None
    environment = argv.environment(repository, locks.new_host_id())
    environment |= {"BORG_PASSPHRASE": repository.passphrase.reveal().decode(), "PATH": os.environ["PATH"]}
    words = ("borg", "create", "--compression", "none", *options, argv.location(repository.path, archive), "-")
    data = os.urandom(20_000_000)
    if sent is not None:
        sent += data
    last = committed(repository.path).transaction
    with subprocess.Popen(words, env=environment, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(data)
        process.stdin.flush()
        wait_until(lambda: any(file.stat().st_size > 1_000_000 for file in committed(repository.path).beyond))
        assert committed(repository.path).transaction == last
        try:
            yield process
        finally:
            process.kill()


def kill_in_mid_create(repository: Repository, archive: str) -> None:
    with running_create(repository, archive) as process:
        process.kill()
        process.wait()


def test_the_run_after_a_kill_heals_by_itself(repository: Repository, borg: Borg, source: Path, tmp_path: Path) -> None:
    (source / "file").write_text("kept")
    borg.create("first", ["."], cwd=source)
    before = committed(repository.path)
    kill_in_mid_create(repository, "cut")
    assert (repository.path / "lock.exclusive").exists()
    assert committed(repository.path).beyond
    borg.recover()
    assert committed(repository.path).segments == before.segments
    assert not (repository.path / "lock.exclusive").exists()
    borg.create("second", ["."], cwd=source)
    assert committed(repository.path).beyond == ()
    assert [archive.name for archive in borg.archives()] == ["first", "second"]
    borg.check_repository()
    borg.check_archives(verify_data=True)


def test_numbers_of_aborted_segments_are_used_again_with_other_content(
    repository: Repository, borg: Borg, source: Path
) -> None:
    """Hazard E1, the reason why nothing beyond the committed transaction is ever sealed."""
    kill_in_mid_create(repository, "cut")
    stale = {file.name: file.read_bytes() for file in committed(repository.path).beyond}
    (source / "file").write_bytes(os.urandom(1000))
    borg.create("second", ["."], cwd=source)
    again = {file.name: file.read_bytes() for file in committed(repository.path).segments if file.name in stale}
    assert again
    assert all(again[name] != stale[name] for name in again)


def test_a_commit_that_was_not_indexed_is_kept_by_recovery(repository: Repository, borg: Borg, source: Path) -> None:
    """Killed between the commit and the new index: the archive is there, only the index says otherwise."""
    (source / "file").write_text("x")
    indexes = {file.name: file.read_bytes() for file in repository.path.glob("*.*") if file.name[-1].isdigit()}
    borg.create("second", ["."], cwd=source)
    whole = committed(repository.path)
    for file in repository.path.glob("*.*"):
        if file.name[-1].isdigit():
            file.unlink()
    for name, data in indexes.items():
        (repository.path / name).write_bytes(data)
    assert committed(repository.path).beyond
    borg.recover()
    assert committed(repository.path) == whole
    assert [archive.name for archive in borg.archives()] == ["second"]


def test_a_living_borg_keeps_its_lock_and_is_named(repository: Repository, borg: Borg, source: Path) -> None:
    with running_create(repository, "long") as process:
        with pytest.raises(errors.RepositoryLocked, match=f"process {process.pid}"):
            borg.create("second", ["."], cwd=source)
        assert process.poll() is None
        assert list((repository.path / "lock.exclusive").iterdir())
    assert borg.create("third", ["."], cwd=source).archive == "third"


def test_a_lock_whose_holder_dies_while_we_wait_is_not_waited_for_any_longer(
    repository: Repository, borg: Borg, source: Path
) -> None:
    with running_create(repository, "long") as process, ThreadPoolExecutor(1) as pool:
        patient = Borg(repository, lock_wait_seconds=10 * LOCK_TURN_SECONDS)
        waiting = pool.submit(patient.create, "second", ["."], cwd=source)
        wait_until(lambda: is_running(b"::second"))
        process.kill()
        process.wait()
        assert waiting.result(timeout=5 * LOCK_TURN_SECONDS).archive == "second"


def is_running(word: bytes) -> bool:
    """Whether a process below this one has `word` in its arguments: it was started after the locks were looked at."""
    for pid in descendants(os.getpid()):
        with contextlib.suppress(OSError):
            if word in Path(f"/proc/{pid}/cmdline").read_bytes():
                return True
    return False


def test_a_lock_taken_by_hand_is_never_broken(repository: Repository, borg: Borg, source: Path) -> None:
    (repository.path / "lock.exclusive").mkdir()
    (repository.path / "lock.exclusive/attichy.example@24601.4194303-0").touch()
    with pytest.raises(errors.RepositoryLocked, match="attichy"):
        borg.create("second", ["."], cwd=source)
    assert list((repository.path / "lock.exclusive").iterdir())


def test_a_cut_init_is_simply_made_again(repository: Repository) -> None:
    aside = repository.path.with_name(".repository.init")
    (aside / "data").mkdir(parents=True)
    (aside / "README").write_text("This is a Borg Backup repository.\n")
    borg = Borg(repository)
    borg.init()
    assert borg.archives() == ()
    assert not aside.exists()


def test_what_a_checkpoint_stored_is_not_stored_again(repository: Repository, borg: Borg, source: Path) -> None:
    stored = bytearray()
    last = committed(repository.path).transaction
    with running_create(repository, "cut", "--checkpoint-interval", "1", sent=stored) as process:
        assert process.stdin is not None
        deadline = time.monotonic() + 30
        while committed(repository.path).transaction == last:
            assert time.monotonic() < deadline, "no checkpoint was written"
            more = os.urandom(300_000)
            process.stdin.write(more)
            process.stdin.flush()
            stored += more
    (source / "file").write_bytes(stored)
    again = borg.create("again", ["."], cwd=source)
    assert again.original_bytes > 20_000_000
    assert again.deduplicated_bytes < 10_000_000, "only what lies behind the last checkpoint"
    assert [archive.name for archive in borg.archives()] == ["again"]


BORG_THAT_IS_CUT = """#!/bin/sh
touch "$TMPDIR/left by a test of its own"
echo "$TMPDIR" >> {told}
exec sleep 60
"""


def interrupted_at(told: Path, lines: int, act: Callable[[], object]) -> None:
    """Do `act`, which is interrupted when borg has told so many lines: borg can send no signal to this process."""

    def interrupt() -> None:
        wait_until(lambda: told.exists() and told.read_text().count("\n") == lines)
        os.kill(os.getpid(), signal.SIGINT)

    with ThreadPoolExecutor(1) as other:
        other.submit(interrupt)
        with pytest.raises(KeyboardInterrupt):
            act()


def test_what_a_cut_borg_leaves_of_its_temporary_files_goes_with_it(
    borg: Borg, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """borg tests itself at each start, with files in the folder for temporary ones."""
    script, told = tmp_path / "bin/borg", repository.base / "told"
    script.parent.mkdir()
    script.write_text(BORG_THAT_IS_CUT.format(told=told))
    script.chmod(0o755)
    killed_last_week = repository.base / "run-killed"
    killed_last_week.mkdir()
    os.utime(killed_last_week, (0, 0))
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    interrupted_at(told, 1, borg.archives)
    interrupted_at(told, 2, lambda: next(borg.items("archive")))
    rooms = told.read_text().splitlines()
    assert [Path(room).parent for room in rooms] == [repository.base] * 2
    assert not list(repository.base.glob("run-*"))
