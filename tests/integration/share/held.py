"""PCs on a line to the small host, and root's helper on it: which PCs a share that is held for a move still answers,
and what."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from appliance_lab.checkout import code_folder
from tests.integration.share import pipelining
from tests.integration.share.world import SECONDS_MAX, World
from tests.pace import PACE

SILENT_SECONDS = PACE * 3.0
HERE, AWAY, LENGTH = "10.64.9.1", "10.64.9.2", 24
HELPER = """
import json, sys
from appliance.programs import privileged
if sys.argv[4] == "requests alone":
    rules = privileged.FILTER.splitlines(keepends=True)
    privileged.FILTER = "".join(it for it in rules if " out " not in it or not it.startswith("add rule"))
served = {"node": "hermitage", "services": {"docs-a": json.loads(sys.argv[1])}}
privileged.Helper(served, holders=sys.argv[3]).obey({"verb": sys.argv[2], "service": "docs-a"})
"""


@dataclass
class Told:
    """The output of the program of `pipelining`: the records that the server said are written."""

    process: subprocess.Popen[str]
    told: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.told.add(int(line))

    def all_told(self) -> set[int]:
        """All of them, once its line is dead."""
        self._reading.join(SECONDS_MAX)
        assert not self._reading.is_alive(), "it still hears something"
        return self.told


@dataclass
class Lan:
    """Another machine with a line to `world`; `address` is the one of the share."""

    world: World
    address: str
    share: str
    file: str

    def __post_init__(self) -> None:
        argv = ("unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec cat")
        self.machine = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.machine.stdout is not None
        assert self.machine.stdout.readline() == "up\n"
        world = self.world.inside[1].partition("=")[2]  # its number here: over there processes are counted from 1
        self.did("ip", "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", world)
        self.world.did("ip", "address", "add", f"{HERE}/{LENGTH}", "dev", "wire")
        self.world.did("ip", "link", "set", "wire", "up")
        self.did("ip", "address", "add", f"{AWAY}/{LENGTH}", "dev", "wire")
        self.did("ip", "link", "set", "wire", "up")
        self.did("ip", "route", "add", self.address, "via", HERE)

    @property
    def inside(self) -> tuple[str, ...]:
        return ("nsenter", f"--target={self.machine.pid}", "--net", "--")

    def did(self, *words: str) -> None:
        subprocess.run((*self.inside, *words), check=True, timeout=SECONDS_MAX, capture_output=True)

    def end(self) -> None:
        self.world.did("ip", "link", "delete", "wire")
        self.machine.kill()
        with self.machine:
            self.machine.wait(SECONDS_MAX)

    @contextmanager
    def pipelining(self, name: str, password: str) -> Iterator[Told]:
        """`name` writes into the share's file without waiting for answers."""
        program = ("/usr/bin/python3", pipelining.__file__, self.address, self.share, name, self.file)
        words = (*self.inside, *program, f"{1000 * SILENT_SECONDS:.0f}")
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdin is not None
                process.stdin.write(f"{password}\n")
                process.stdin.close()
                yield Told(process)
            finally:
                process.kill()

    def unread(self, port: str) -> int:
        """Bytes that came for the server at `port` and that it has not read."""
        return self._waiting("sport", port, 0)

    def unsent(self) -> int:
        """Bytes of answers that nobody has received."""
        return self._waiting("src", self.address, 1)

    def _waiting(self, which: str, what: str, column: int) -> int:
        port = f"= :{what}" if which == "sport" else what
        lines = self.world.did("ss", "-Htn", "state", "established", which, port).splitlines()
        return max((int(line.split()[column]) for line in lines), default=0)


@dataclass(frozen=True)
class Helper:
    """Root's helper at the small host, which obeys for a share at `address`."""

    world: World
    folder: Path
    address: str
    requests_alone: bool

    def did(self, verb: str) -> None:
        unit = {"unit": "appliance-share@docs-a.service", "copy": "", "folder": "/nonexistent"}
        served = {**unit, "form": "share", "address": self.address, "here": True, "nodes": {}}
        how = "requests alone" if self.requests_alone else "both"
        program = ("env", f"PYTHONPATH={code_folder()}", sys.executable, "-c", HELPER)
        self.world.did(*program, json.dumps(served), verb, str(self.folder / "holders"), how)
