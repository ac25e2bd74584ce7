"""`appliance status --watch` looks again until Ctrl-C, and `doctor` ends with the same code as `status`."""

from __future__ import annotations

import json
import os
import signal
import subprocess

from appliance.agent.observe import agent_lock
from appliance.host.files import locked
from appliance_lab.checkout import appliance_argv, code_folder
from appliance_lab.processes.territory import ProcessTerritory


def test_watching_looks_again_and_ends_with_the_state_that_was_shown_last(territory: ProcessTerritory) -> None:
    node = territory.nodes["commune-a"]
    lock = agent_lock(territory.open("commune-a").layout)
    argv = (*appliance_argv(), "--state", str(node.state), "--json", "status", "--watch")
    environment = {**os.environ, "PYTHONPATH": str(code_folder())}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environment) as watching:
        assert watching.stdout is not None
        first = watching.stdout.readline()
        with locked(lock, what="the agent"):  # as if it had been started meanwhile
            second = watching.stdout.readline()
        third = json.loads(watching.stdout.readline())
        watching.send_signal(signal.SIGINT)
        code = watching.wait(20)
    assert ("AGENT NOT RUNNING" in first, "AGENT NOT RUNNING" in second) == (True, False)
    once = node.cli("--json", "status", check=False)
    assert (code, third["state"]) == (once.exit_code, json.loads(once.stdout)["state"])


def test_watching_and_comparing_do_not_go_together(territory: ProcessTerritory) -> None:
    said = territory.nodes["commune-a"].cli("status", "--watch", "--not-worse-than", "/dev/null", check=False)
    assert said.exit_code == 2
    assert b"cannot be combined" in said.stderr


def test_doctor_and_status_end_alike_and_judge_alike(territory: ProcessTerritory) -> None:
    for node in territory.nodes.values():
        status, doctor = (node.cli("--json", verb, check=False) for verb in ("status", "doctor"))
        checks = json.loads(doctor.stdout)["checks"]
        reasons = [reason for it in json.loads(status.stdout)["judged"] for reason in it["reasons"]]
        assert (status.exit_code, json.loads(status.stdout)["state"]) == (
            doctor.exit_code,
            json.loads(doctor.stdout)["state"],
        )
        assert {it["check"] for it in reasons} <= {it["check"] for it in checks if it["state"] != "ok"}
        assert all(it["runbook"].startswith("docs/runbooks/") for it in checks)
