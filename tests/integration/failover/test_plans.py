"""A dry run of a planned move says what would be done and does nothing; a watcher sees the real one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import Any

from appliance.trust.act import ANY_SERVICE
from appliance_lab.checkout import appliance_argv, code_folder
from appliance_lab.processes.failover import FailoverWorld
from tests.integration.failover.conftest import HOME, SERVICE, STANDBY, Begin, violated


def test_a_dry_run_says_what_would_be_and_changes_nothing(begin: Begin) -> None:
    world = begin("local-first")
    evacuated = told(world, "evacuate", "valley")
    assert [(it["origin"], it["to"], it["rpo_seconds"]) for it in evacuated["moves"]] == [(HOME, STANDBY, 0)]
    assert told(world, "pause", SERVICE)["minutes"] == 30
    act = world.sign("quarantine", HOME, ANY_SERVICE)
    (cost,) = told(world, "quarantine", HOME, "--act", str(act))["costs"]
    assert cost["service"] == SERVICE
    assert 0 <= cost["rpo_seconds"] < 600, "what was written since the newest generation that is held"
    act = world.sign("quarantine", HOME, ANY_SERVICE, ends=True)
    assert told(world, "quarantine", HOME, "--act", str(act))["taken_back"]
    world.node(STANDBY).cli("failover", "move", SERVICE, STANDBY)
    early = world.node(STANDBY).cli("failover", "handback", SERVICE, "--dry-run", check=False)
    assert (early.exit_code, early.stdout) == (8, b"")
    world.tell("operator", 0, "handover", to=HOME)
    assert told(world, "move", SERVICE, HOME)["steps"]
    assert world.add(100) == STANDBY, "only what was typed without it was done"
    shown = json.loads(world.node(HOME).cli("failover", "status", "--json").stdout)
    (docs,) = (it for it in shown["services"] if it["service"] == SERVICE)
    assert (docs["holder"], docs["intent"], shown["node"]) == (STANDBY, "", HOME)


def told(world: FailoverWorld, *words: str) -> dict[str, Any]:
    found = dict(json.loads(world.node(STANDBY).cli("failover", *words, "--dry-run", "--json").stdout))
    assert found["dry_run"] is True
    return found


def test_who_watches_sees_a_service_move_and_process_mode_says_what_needs_hosts(begin: Begin) -> None:
    world = begin("exclusive")
    said = (world.node(HOME).layout.run / "failover.log").read_text()
    assert "Addresses, mounts and units need hosts: here programs on loopback replace them." in said
    argv = (*appliance_argv(), "--state", str(world.node(STANDBY).state), "failover", "status", "--watch", "--json")
    environment = {**os.environ, "PYTHONPATH": str(code_folder())}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environment) as watching:
        assert watching.stdout is not None
        assert holder(watching.stdout.readline()) == HOME
        world.tell("operator", 0, "handover", to=STANDBY)
        world.node(STANDBY).cli("failover", "move", SERVICE, STANDBY)
        world.wait(lambda: holder(watching.stdout.readline()) == STANDBY, "it is shown")  # type: ignore[union-attr]
        watching.send_signal(signal.SIGINT)
        assert watching.wait(20) == 130
    assert violated(world) == {}


def holder(line: str) -> str:
    (docs,) = (it for it in json.loads(line)["services"] if it["service"] == SERVICE)
    return str(docs["holder"])
