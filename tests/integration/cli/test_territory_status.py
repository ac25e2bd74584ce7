"""`appliance territory status` against real sshds: twenty-one nodes, some of them off, silent or other machines.

Each answers with what a node of a lab printed (tests/cases/monitor/answers), by a forced command, as a key that may do
nothing else would be let in.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from appliance.host.command import Result, run
from appliance.trust.keys import create_key
from appliance_lab.checkout import appliance_argv, code_folder
from appliance_lab.processes.node import free_ports
from tests.pace import PACE
from tests.worlds.listeners import full
from tests.worlds.sshds import ADDRESS, host_key, lets_in, sshd, wait_for

ROOT = Path(__file__).parents[3]
ANSWERS = {it.stem: it.read_text("utf-8") for it in sorted((ROOT / "tests/cases/monitor/answers").glob("*.json"))}
PLACE = re.compile(r"name: ([a-z-]+), address: 10\.60\.0\.(\d+)")
PROMISED_SECONDS = 3.0
TRIES = 5
"""Other work on this machine may take the processor from a call."""

pytestmark = pytest.mark.root


@dataclass
class ControlMachine:
    """The folder of territory.yml, an operator's key, and for each node the folder of its sshd."""

    folder: Path
    ports: Mapping[str, int]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.ports)

    def ask(self, *words: str, identity: str = "operator", path: str = os.environ["PATH"]) -> Result:
        argv = (*appliance_argv(), "territory", "status", str(self.folder), *words)
        env = {"PYTHONPATH": str(code_folder()), "HOME": str(self.folder), "PATH": path}
        return run((*argv, "--identity", str(self.folder / identity)), timeout_seconds=60, env=env)

    def ask_json(self, *words: str, **named: str) -> tuple[int, dict[str, Any]]:
        found = self.ask("--json", *words, **named)
        assert found.stderr == b"", found.tail()
        return found.exit_code, json.loads(found.stdout)

    def says(self, node: str, answer: str | bytes, exit_code: int = 0) -> None:
        """Have `node` print `answer`, whatever it is asked."""
        own = self.folder / node
        (own / "answer").write_bytes(answer if isinstance(answer, bytes) else answer.encode())
        words = ("sh", "-c", f"cat {shlex.quote(str(own / 'answer'))}; exit {exit_code}")
        lets_in(own, self.folder / "operator.pub", *words)

    def as_recorded(self, node: str, state: str = "ok") -> None:
        """Have `node` print what a node of a lab in that state printed, under its own name."""
        recorded = json.loads(ANSWERS[state])
        text = json.dumps(recorded, ensure_ascii=False).replace(f'"{recorded["node"]}"', f'"{node}"')
        self.says(node, text, {"ok": 0, "warning": 1}.get(recorded["state"], 4))

    def met(self, *lines: str) -> None:
        (self.folder / "known_hosts").write_text("".join(f"{line}\n" for line in lines))

    def host_keys(self, *names: str) -> list[str]:
        """The lines of known_hosts of `names`, by default of all."""
        return [f"{name} {host_key(self.folder / name)}" for name in names or self.names]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlMachine]:
    """Twenty-one sshds, each with a host key of its own, and a territory in which each is a town's."""
    folder = tmp_path_factory.mktemp("control")
    text = (ROOT / "inventory/example/territory.yml").read_text("utf-8")
    names = [found[1] for found in PLACE.finditer(text)]
    ports = dict(zip(names, free_ports(ADDRESS, len(names)), strict=True))
    text = PLACE.sub(
        lambda found: f"name: {found[1]}, address: {ADDRESS}, mesh: 10.64.0.{found[2]}, port: {ports[found[1]]}", text
    )
    (folder / "territory.yml").write_text(text, "utf-8")
    create_key(folder / "operator")
    create_key(folder / "unknown_key")
    control = ControlMachine(folder, ports)
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(sshd(folder / name, ports[name]))
        wait_for(*ports.values())
        yield control


@pytest.fixture
def control(running: ControlMachine) -> ControlMachine:
    """All are well, and known."""
    for name in running.names:
        running.as_recorded(name)
    running.met(*running.host_keys())
    return running


@contextmanager
def elsewhere(control: ControlMachine, node: str, port: int | str) -> Iterator[None]:
    """Meanwhile `node` is at another port."""
    file = control.folder / "territory.yml"
    text = file.read_text("utf-8")
    file.write_text(text.replace(f"port: {control.ports[node]}", f"port: {port}"), "utf-8")
    try:
        yield
    finally:
        file.write_text(text, "utf-8")


@contextmanager
def mute() -> Iterator[int]:
    """A port that takes connections and never says a word, as a machine that hangs."""
    with socket.create_server((ADDRESS, 0)) as listener:
        yield listener.getsockname()[1]


def of(shown: dict[str, Any], node: str) -> dict[str, Any]:
    return next(it for it in shown["nodes"] if it["node"] == node)


def test_recorded_answers_are_of_every_kind() -> None:
    assert {"ok", "warning", "failed"} <= {json.loads(it)["state"] for it in ANSWERS.values()}


def test_twenty_one_nodes_are_shown_within_three_seconds_with_one_of_them_off(
    control: ControlMachine, capfd: pytest.CaptureFixture[str]
) -> None:
    control.as_recorded("bitry", "failed")
    control.as_recorded("jaulzy", "warning")
    taken: list[float] = []
    (port,) = free_ports(ADDRESS, 1)
    with elsewhere(control, "attichy", port):
        while len(taken) < TRIES and min(taken, default=PROMISED_SECONDS) >= PROMISED_SECONDS:
            begun = time.monotonic()
            code, shown = control.ask_json()
            taken.append(time.monotonic() - begun)
    with capfd.disabled():
        print(f"21 nodes, one of them off: {', '.join(f'{it:.2f} s' for it in taken)}", file=sys.stderr)
    assert min(taken) < PROMISED_SECONDS * PACE
    assert (code, shown["state"], shown["answered"], len(shown["nodes"])) == (4, "failed", 20, 21)
    assert [it["node"] for it in shown["nodes"]][:3] == ["bitry", "attichy", "jaulzy"]
    assert of(shown, "attichy")["error"] == f"{ADDRESS}:{port}: no answer (Connection refused)."


def test_a_machine_that_drops_packets_is_given_up_after_two_seconds(control: ControlMachine) -> None:
    with full() as port, elsewhere(control, "attichy", port):
        code, shown = control.ask_json()
    assert (code, shown["state"], shown["answered"]) == (4, "unknown", 20)
    assert of(shown, "attichy")["error"] == f"{ADDRESS}:{port}: no answer (timed out)."
    assert of(shown, "attichy")["remedy"] == "Check that it is switched on and that its sshd runs."


@pytest.mark.parametrize(("option", "seconds"), [("--node-deadline", 4.0), ("--deadline", 4.0)])
def test_a_machine_that_hangs_is_given_up_after_its_deadline_or_that_of_all(
    option: str, seconds: float, control: ControlMachine
) -> None:
    control.met(*control.host_keys("attichy", "bitry", "chelles"))
    with mute() as port, elsewhere(control, "attichy", port):
        begun = time.monotonic()
        code, shown = control.ask_json(option, f"{seconds:.0f}s")
    assert seconds <= time.monotonic() - begun < (seconds + PROMISED_SECONDS) * PACE
    assert (code, shown["answered"], len(shown["nodes"])) == (4, 2, 21)
    assert of(shown, "attichy")["error"].startswith(f"{ADDRESS}:{port}: no answer within 4")


def test_all_well_exits_with_0_and_a_warning_with_1(control: ControlMachine) -> None:
    assert control.ask_json()[0] == 0
    control.as_recorded("jaulzy", "warning")
    code, shown = control.ask_json()
    assert (code, shown["state"], shown["nodes"][0]["node"]) == (1, "warning", "jaulzy")


def test_a_machine_with_another_host_key_or_none_recorded_is_not_asked(control: ControlMachine) -> None:
    keys = control.host_keys()
    known = {it.split()[0]: it for it in keys}
    other = f"attichy {known['bitry'].partition(' ')[2]}"
    control.met(*(it for it in keys if it.split()[0] not in {"attichy", "jaulzy"}), other)
    log = control.folder / "attichy" / "log"
    before = log.read_text()
    code, shown = control.ask_json()
    assert (code, shown["answered"]) == (4, 19)
    assert "its host key is not the recorded one; nothing was sent." in of(shown, "attichy")["error"]
    assert "trust-host-key attichy --fingerprint SHA256:... --replace" in of(shown, "attichy")["remedy"]
    assert of(shown, "jaulzy")["error"] == "its host key was never recorded."
    assert "Accepted publickey" not in log.read_text().removeprefix(before)


def test_without_rights_every_node_says_so_and_nothing_is_changed(control: ControlMachine) -> None:
    before = {it: it.read_bytes() for it in control.folder.glob("*") if it.is_file()}
    code, shown = control.ask_json(identity="unknown_key")
    assert (code, shown["answered"], shown["state"]) == (4, 0, "unknown")
    assert {it["error"].partition(": ")[2] for it in shown["nodes"]} == {"it accepts none of our keys for root."}
    assert {it: it.read_bytes() for it in control.folder.glob("*") if it.is_file()} == before


def test_a_private_key_that_is_not_there_is_one_sentence(control: ControlMachine) -> None:
    found = control.ask(identity="gone")
    assert (found.exit_code, found.stdout) == (2, b"")
    assert found.stderr.decode().startswith(f"appliance: {control.folder / 'gone'}: this private key cannot be read.")


def test_what_no_node_may_say_is_a_row_and_no_traceback(control: ControlMachine) -> None:
    control.says("attichy", ANSWERS["ok"])  # by another's name
    control.says("bitry", "\x1b[2J{", 0)
    control.says("chelles", b"\xff" * 100)
    control.says("couloisy", b" " * (5 * 1024 * 1024))
    control.says("croutoy", b"", 0)
    control.says("jaulzy", b"sh: 1: appliance: not found\n", 127)
    code, shown = control.ask_json()
    assert (code, shown["answered"]) == (4, 15)
    told = {it["node"]: it["error"] for it in shown["nodes"] if it["error"]}
    assert "identifies itself as" in told.pop("attichy")
    assert {told.pop(name) for name in ("bitry", "chelles")} == {"its answer is not readable JSON."}
    assert "its answer is too long" in told.pop("couloisy")
    assert "exited with 0" in told.pop("croutoy")
    assert "exited with 127" in told.pop("jaulzy")
    assert told == {}


def test_what_a_node_says_moves_no_cursor(control: ControlMachine) -> None:
    control.says("attichy", ANSWERS["ok"].replace('"summary": "', '"summary": "\\u001b]0;x\\u0007\\u202e', 1))
    for words in ((), ("--json",)):
        shown = control.ask(*words).stdout.decode()
        assert all(letter.isprintable() or letter == "\n" for letter in shown)


@pytest.mark.parametrize("hands_on", [True, False])
def test_a_node_behind_nat_is_asked_through_the_node_that_ssh_config_names(
    control: ControlMachine, tmp_path: Path, hands_on: bool
) -> None:
    """`ssh -G` is a program of ours here, since it reads no settings but those of the account's own home."""
    ssh = tmp_path / "ssh"
    ssh.write_text(f"#!/bin/sh\necho hostname {ADDRESS}\necho proxyjump root@hermitage\n")
    ssh.chmod(0o755)
    if hands_on:
        keys = control.folder / "hermitage" / "authorized_keys"
        keys.write_text(keys.read_text().replace("restrict,", ""))
    port = control.ports["attichy"]
    with elsewhere(control, "attichy", f"{port}, mesh_port: 0"):
        code, shown = control.ask_json(path=f"{tmp_path}:{os.environ['PATH']}")
    assert (code, shown["answered"], of(shown, "attichy")["answered"]) == (
        (0, 21, True) if hands_on else (4, 20, False)
    )


@pytest.mark.parametrize(
    ("words", "say"),
    [
        (("--deadline", "soon"), '"soon" is not a duration'),
        (("--node-deadline", "0"), "--node-deadline 0 would wait for nobody"),
    ],
)
def test_a_deadline_that_is_none_is_refused(words: tuple[str, ...], say: str, control: ControlMachine) -> None:
    found = control.ask(*words)
    assert (found.exit_code, say in found.tail()) == (2, True)
