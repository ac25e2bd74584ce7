"""Between the last backup of a move and the stop nobody hears "done": the packet filter that root's helper sets."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance_lab.checkout import code_folder
from tests.pace import LONG

pytestmark = pytest.mark.root
ADDRESS, CLIENT, PORT = "10.64.8.4", "10.64.8.200", 4450
SECONDS = LONG * 10.0
SERVED = {
    "form": "share",
    "address": ADDRESS,
    "folder": "/nonexistent",
    "unit": "appliance-share@docs-a.service",
    "copy": "",
    "here": True,
    "nodes": {},
}
HANDS = """
import json, sys
from appliance.programs.privileged import Helper
served = {"services": {"docs-a": json.loads(sys.argv[1])}}
Helper(served, holders=sys.argv[3]).obey({"verb": sys.argv[2], "service": "docs-a"})
"""
SERVER = """
import socket, sys
with socket.create_server((sys.argv[1], int(sys.argv[2]))) as listening:
    print("listens", flush=True)
    line, _ = listening.accept()
    with line:
        sys.stdin.readline()  # busy, as while a disk is slow
        print(line.recv(100).decode(), flush=True)
        line.sendall(b"done")
        sys.stdin.readline()
"""
ASKING = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 10) as line:
    line.sendall(b"write it")
    print("asked", flush=True)
    line.settimeout(None)
    print(line.recv(100).decode(), flush=True)
"""


class AnswerWorld:
    """Two machines with a line between them, the one that serves with the address of a share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.serving, self.asking = (self._machine() for _ in range(2))
        words = ("ip", "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", str(self.asking.pid))
        self.did(self.serving, *words)
        for machine, address in ((self.serving, ADDRESS), (self.asking, CLIENT)):
            self.did(machine, "ip", "address", "add", f"{address}/24", "dev", "wire")
            self.did(machine, "ip", "link", "set", "wire", "up")

    def _machine(self) -> subprocess.Popen[str]:
        argv = ("unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec cat")
        made = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert made.stdout is not None
        assert made.stdout.readline() == "up\n"
        return made

    def inside(self, machine: subprocess.Popen[str], *words: str) -> tuple[str, ...]:
        return ("nsenter", f"--target={machine.pid}", "--net", "--", *words)

    def did(self, machine: subprocess.Popen[str], *words: str) -> None:
        subprocess.run(self.inside(machine, *words), check=True, timeout=SECONDS, capture_output=True)

    def starts(self, machine: subprocess.Popen[str], program: str) -> subprocess.Popen[str]:
        words = self.inside(machine, sys.executable, "-c", program, ADDRESS, str(PORT))
        return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def obeys(self, verb: str) -> subprocess.CompletedProcess[str]:
        words = (sys.executable, "-c", HANDS, json.dumps(SERVED), verb, str(self.folder / "holders"))
        environment = {"PYTHONPATH": str(code_folder()), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        argv = self.inside(self.serving, *words)
        return subprocess.run(argv, env=environment, text=True, capture_output=True, timeout=SECONDS, check=False)

    def end(self) -> None:
        for machine in (self.serving, self.asking):
            end(machine)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[AnswerWorld]:
    made = AnswerWorld(tmp_path)
    try:
        yield made
    finally:
        made.end()


def test_a_request_that_came_before_the_hold_is_carried_out_and_its_client_hears_nothing_until_it_may(
    world: AnswerWorld,
) -> None:
    server = world.starts(world.serving, SERVER)
    client = None
    try:
        assert said(server) == "listens"
        client = world.starts(world.asking, ASKING)
        assert said(client) == "asked"
        assert world.obeys("hold").returncode == 0
        assert world.obeys("check-held").returncode == 0
        tell(server)
        assert said(server) == "write it", "it lay in the server's queue when the last backup was made"
        with pytest.raises(subprocess.TimeoutExpired):
            client.wait(1)
        assert world.obeys("resume").returncode == 0
        assert said(client) == "done", "the hand-over failed, and it is served on"
    finally:
        for program in (server, client):
            if program:
                end(program)


def test_a_filter_that_was_flushed_in_the_middle_of_a_hold_is_found(world: AnswerWorld) -> None:
    assert world.obeys("hold").returncode == 0
    world.did(world.serving, "nft", "flush", "ruleset")
    found = world.obeys("check-held")
    assert found.returncode != 0
    assert "Refused" in found.stderr


def end(program: subprocess.Popen[str]) -> None:
    program.kill()
    with program:
        program.wait()


def said(program: subprocess.Popen[str]) -> str:
    assert program.stdout is not None
    return program.stdout.readline().strip()


def tell(program: subprocess.Popen[str]) -> None:
    assert program.stdin is not None
    program.stdin.write("go on\n")
    program.stdin.flush()
