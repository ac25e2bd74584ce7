"""Root's `read_only` mounts and unmounts the right folders, and leaves others alone, whatever is at the place named."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance_lab.checkout import code_folder

pytestmark = pytest.mark.root

DONE, CANNOT_BE, NOT_FOUND, WRONG_WORDS = 0, 4, 3, 2
# As on a host, where systemd shares all mounts; nothing of it comes out into the machine of the test.
BEGIN = "mount --make-rprivate / && mount --make-rshared / && echo ready && exec cat"


class Mounts:
    """A mount name space of its own, in which `folder` is the only place that is looked at."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        argv = ("unshare", "--mount", "sh", "-c", BEGIN)
        self._first = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._first.stdout
        assert self._first.stdout.readline() == b"ready\n"

    def end(self) -> None:
        self._first.communicate(timeout=60)

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        inside = ("nsenter", f"--mount=/proc/{self._first.pid}/ns/mnt", f"--wdns={code_folder()}", *argv)
        return subprocess.run(inside, capture_output=True, text=True, timeout=60)

    def read_only(self, *words: str | Path) -> tuple[int, str]:
        done = self.run(sys.executable, "-m", "appliance.programs.read_only", *map(str, words))
        return done.returncode, done.stderr

    def writes(self, folder: Path) -> bool:
        done = self.run("touch", str(folder / "page.html"))
        assert done.returncode == 0 or "Read-only file system" in done.stderr
        return done.returncode == 0

    def list(self) -> list[str]:
        """Each mount below `folder` with its settings."""
        lines = Path(f"/proc/{self._first.pid}/mountinfo").read_text().splitlines()
        found = [line.split()[4:6] for line in lines if line.split()[4].startswith(f"{self.folder}/")]
        return [f"{os.path.basename(place)} {settings}" for place, settings in found]


@pytest.fixture
def mounts(tmp_path: Path) -> Iterator[Mounts]:
    for name in ("site", "other"):
        (tmp_path / name).mkdir()
    made = Mounts(tmp_path)
    yield made
    made.end()


def test_a_folder_is_read_only_from_its_begin_to_its_end_and_what_is_beside_it_never(
    mounts: Mounts, tmp_path: Path
) -> None:
    site, other = tmp_path / "site", tmp_path / "other"
    for _ in range(2):
        assert mounts.read_only("begin", site) == (DONE, "")
        [told] = mounts.list()
        assert told.startswith("site ro,nosuid,nodev")
        assert not mounts.writes(site)
        assert mounts.writes(other)
        assert mounts.read_only("end", site) == (DONE, "")
        assert mounts.list() == []
        assert mounts.writes(site)


def test_it_ends_while_a_file_in_it_is_open(mounts: Mounts, tmp_path: Path) -> None:
    site = tmp_path / "site"
    assert mounts.writes(site)
    assert mounts.read_only("begin", site) == (DONE, "")
    script = '"$@" 3<"$0/page.html"'
    told = mounts.run(
        "sh", "-c", script, str(site), sys.executable, "-m", "appliance.programs.read_only", "end", str(site)
    )
    assert (told.returncode, told.stderr) == (0, "")
    assert mounts.writes(site)


@pytest.mark.parametrize("kind", ["link", "file"])
@pytest.mark.parametrize("verb", ["begin", "end"])
def test_what_lies_in_the_place_of_a_folder_is_named_and_nothing_is_mounted_or_unmounted(
    verb: str, kind: str, mounts: Mounts, tmp_path: Path
) -> None:
    place, other = tmp_path / "place", tmp_path / "other"
    if kind == "link":
        place.symlink_to(other)
    else:
        place.touch()
    assert mounts.run("mount", "--bind", str(other), str(other)).returncode == 0
    before = mounts.list()
    code, said = mounts.read_only(verb, place)
    assert (code, said.count("\n")) == (CANNOT_BE, 1)
    assert said.startswith(f"{place}: this is a link or a file, but must be a folder.")
    assert mounts.list() == before != []
    assert mounts.writes(other)


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (("end", "{}/site"), CANNOT_BE, "{}/site: nothing is mounted here."),
        (("begin", "{}/nowhere"), NOT_FOUND, "{}/nowhere: No such file or directory."),
        (("end", "{}/nowhere"), NOT_FOUND, "{}/nowhere: No such file or directory."),
        (("remount", "{}/site"), WRONG_WORDS, "usage: begin FOLDER, or: end FOLDER."),
        (("begin",), WRONG_WORDS, "usage: begin FOLDER, or: end FOLDER."),
    ],
)
def test_what_cannot_be_is_one_sentence(
    words: tuple[str, ...], code: int, why: str, mounts: Mounts, tmp_path: Path
) -> None:
    told = mounts.read_only(*(it.format(tmp_path) for it in words))
    assert told == (code, f"{why.format(tmp_path)}\n")
    assert mounts.list() == []
