"""A survey of a week on a real machine: Ctrl-C ends the waiting, and the same command continues."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

from appliance_lab.checkout import appliance_argv, code_folder


def test_ctrl_c_between_two_looks_keeps_the_first_and_says_what_continues(tmp_path: Path) -> None:
    share = tmp_path / "share"
    share.mkdir()
    (share / "file").write_bytes(os.urandom(1000))
    environment = {**os.environ, "PYTHONPATH": str(code_folder()), "XDG_STATE_HOME": str(tmp_path / "state")}
    argv = (*appliance_argv(), "survey", "--days", "7", str(share))
    for _ in range(2):
        with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, env=environment) as surveying:
            assert surveying.stderr is not None
            assert surveying.stderr.readline().startswith("0.0 of 7 days. The next look is in ")
            surveying.send_signal(signal.SIGINT)
            said = surveying.stderr.read()
            assert surveying.wait(20) == 130
        assert said.count("\n") == 1
        assert said.endswith(f"To continue, type: appliance survey --days 7 {share}\n")
        (file,) = (tmp_path / "state/appliance").glob("survey-*.json")
        assert [it["bytes"] for it in json.loads(file.read_text())["looks"]] == [1000]
