"""Whether a file is open is asked of the kernel, of files alone, and without waiting for anybody."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from appliance.host.disks.opened import is_open


def test_a_file_that_another_program_has_open_is_found_until_it_is_closed(tmp_path: Path) -> None:
    file = tmp_path / "letter.odt"
    file.write_text("Monsieur le Préfet")
    assert not is_open(file)
    with file.open() as held, subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=[held.fileno()]) as other:
        held.close()
        assert is_open(file)
        other.kill()
    assert not is_open(file)
    assert file.read_text() == "Monsieur le Préfet"


@pytest.mark.parametrize("kind", ["none", "folder", "link", "fifo"])
def test_what_is_no_file_is_not_open(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "it"
    if kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(tmp_path / "gone")
    elif kind == "fifo":
        os.mkfifo(path)
    assert not is_open(path)
