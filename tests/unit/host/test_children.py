"""A worker and all that it started end together: when told to, when it has ended, and when its parent is killed."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.host.children import start_worker
from tests.pace import LONG

ROOT = Path(__file__).parents[3]
BOUND_SECONDS = LONG * 20.0
# A worker that starts a child of its own, tells both numbers and sleeps; `parent` is what it was told.
WORKER = """
import os, subprocess, sys, time
from appliance.host.children import die_with_parent
die_with_parent(int(sys.argv[1]))
child = subprocess.Popen(["sleep", "600"])
print(os.getpid(), child.pid, flush=True)
time.sleep(600)
"""
# A worker whose main thread does not hear of the signal: what it waits for began just after that had come.
DEAF = """
import signal, sys, threading, time
from appliance.host.children import die_with_parent
die_with_parent(int(sys.argv[1]))
threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
print(flush=True)
time.sleep(600)
"""
# Its parent, in a process of its own so that it can be killed; it only repeats what the worker says.
PARENT = f"""
import os, subprocess, sys
worker = subprocess.Popen([sys.executable, "-c", {WORKER!r}, str(os.getpid())], stdout=subprocess.PIPE, process_group=0)
print(worker.stdout.readline().decode(), flush=True)
worker.wait()
"""


@pytest.fixture(autouse=True)
def code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@contextlib.contextmanager
def watched(*pids: int) -> Iterator[list[int]]:
    """Descriptors that become readable when the processes have ended."""
    fds = [os.pidfd_open(pid) for pid in pids]
    try:
        yield fds
    finally:
        for fd in fds:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(fd, signal.SIGKILL)
            os.close(fd)


def all_end(fds: list[int]) -> bool:
    return all(select.select([fd], [], [], BOUND_SECONDS)[0] for fd in fds)


def family() -> tuple[subprocess.Popen[bytes], int, int]:
    """A parent with a worker that has a child: the parent's process and both numbers."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    worker, child = map(int, parent.stdout.readline().split())
    return parent, worker, child


def test_kill_9_of_the_parent_ends_the_worker_and_what_it_started() -> None:
    parent, worker, child = family()
    with parent, watched(worker, child) as fds:
        parent.kill()
        assert all_end(fds)


def test_sigterm_to_the_worker_ends_what_it_started_too() -> None:
    parent, worker, child = family()
    with parent, watched(worker, child) as fds:
        os.kill(worker, signal.SIGTERM)
        assert all_end(fds)


def test_sigterm_ends_a_worker_whose_main_thread_is_in_a_call_that_does_not_return() -> None:
    words = (sys.executable, "-c", DEAF, str(os.getpid()))
    with subprocess.Popen(words, stdout=subprocess.PIPE, process_group=0) as worker, watched(worker.pid) as fds:
        assert worker.stdout is not None
        worker.stdout.readline()
        worker.terminate()
        assert all_end(fds)


def test_a_worker_whose_parent_died_first_ends_itself() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    ended = subprocess.run(
        [sys.executable, "-c", WORKER, str(gone.pid)], process_group=0, timeout=BOUND_SECONDS, check=False
    )
    assert ended.returncode == -signal.SIGKILL


def test_an_answer_of_any_length_is_read_whole() -> None:
    worker = start_worker((sys.executable, "-c", "print('x' * 1_000_000, end='')"), {})
    with watched(worker.pid) as fds:
        assert all_end(fds)
        code, answer = worker.reap()
    assert (code, len(answer)) == (0, 1_000_000)


def test_killing_a_worker_ends_its_group() -> None:
    words = ("sh", "-c", "sleep 600 & echo $!; sleep 600")
    worker = start_worker(words, {})
    with watched(worker.pid) as fds:
        worker.kill()
        assert all_end(fds)
        assert worker.reap()[0] == -signal.SIGKILL
