"""A ceremony that is ended from outside leaves no sheet: it would be taken for one that opens something."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pace import PACE
from tests.waiting import wait_until

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_terminal_that_is_closed_leaves_no_sheet(tmp_path: Path, number: signal.Signals) -> None:
    shutil.copy(ROOT / "inventory/demo/territory.yml", tmp_path)
    sheet, (reader, writer) = tmp_path / "paper.txt", os.pipe()
    words = ("create-key", "--territory", str(tmp_path), "--out", str(sheet), "--typed-back-fd", str(reader))
    argv, environment = (sys.executable, "-m", "appliance", "escrow", *words), os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(argv, pass_fds=(reader,), env=environment, stdout=-1, stderr=-1) as process:
        wait_until(sheet.exists, "the sheet is written")
        process.send_signal(number)
        process.communicate(timeout=PACE * 30)
    os.close(reader)
    os.close(writer)
    assert process.returncode == 128 + number
    assert not sheet.exists()
    assert not (tmp_path / "recovery.pub").exists()
