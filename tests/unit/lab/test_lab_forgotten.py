"""A lab is forgotten though a playbook or a build of an interrupted command still writes into its folder."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.errors import ApplianceError
from appliance_lab.hosts import shared
from appliance_lab.hosts.paths import HostPaths
from appliance_lab.hosts.pool import OVERLAY, Pool
from tests.waiting import wait_until

WRITES = """
import os, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN if sys.argv[2] == "deaf" else signal.SIG_DFL)
number = 0
while True:
    os.makedirs(sys.argv[1], exist_ok=True)
    open(f"{sys.argv[1]}/{number % 100}", "w").close()
    number += 1
"""


@contextmanager
def writer(folder: Path, how: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program that is given `folder` and writes there until it is ended."""
    with subprocess.Popen((sys.executable, "-c", WRITES, str(folder), how)) as process:
        wait_until(lambda: (folder / "9").exists(), "a file of the writer")
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def paths(tmp_path: Path) -> HostPaths:
    paths = HostPaths(tmp_path)
    paths.lab("one").root.mkdir(parents=True)
    paths.lab("one").state.write_text("{}")
    (paths.labs / "other").mkdir()
    paths.lab("other").state.write_text("{}")  # the pool stays open for it
    return paths


def forget(paths: HostPaths) -> None:
    shared.forget(paths, "one", Pool(paths, OVERLAY), print)


@pytest.mark.parametrize("name", ["inventory", "packages"])
@pytest.mark.parametrize("how", ["polite", "deaf"])
def test_what_still_writes_into_a_lab_is_ended_with_it(
    name: str, how: str, paths: HostPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "END_SECONDS_MAX", 0.3)
    with writer(paths.lab("one").root / name, how) as process:
        shared.end_work(paths.lab("one"))
        assert process.wait(10) < 0
        forget(paths)
    assert not paths.lab("one").root.exists()
    assert paths.known_labs() == ["other"]


def test_what_works_for_another_lab_goes_on(paths: HostPaths) -> None:
    with writer(paths.lab("other").root / "inventory", "polite") as process:
        shared.end_work(paths.lab("one"))
        assert process.poll() is None


def test_a_file_that_comes_while_the_folder_goes_is_no_failure(paths: HostPaths) -> None:
    """One last file of a program that is ending; without another try the folder would not be empty."""
    folder, ended = paths.lab("one").root / "ansible", threading.Event()

    def write() -> None:
        try:
            for number in range(2000):
                with contextlib.suppress(FileNotFoundError, FileExistsError):  # the folder goes at that moment
                    folder.mkdir(exist_ok=True, parents=True)
                    (folder / str(number)).touch()
        finally:
            ended.set()

    thread = threading.Thread(target=write)
    thread.start()
    wait_until(lambda: (folder / "9").exists(), "a file of the writer")
    while not ended.is_set():
        shared._remove(paths.lab("one").root)
    thread.join()
    shared._remove(paths.lab("one").root)
    assert not paths.lab("one").root.exists()


def test_a_program_that_does_not_stop_writing_is_told_in_a_sentence(
    paths: HostPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "REMOVE_SECONDS_MAX", 0.2)
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)
    with pytest.raises(ApplianceError, match=r"labs/one: a program still writes into the folder of the lab\. End it"):
        forget(paths)
