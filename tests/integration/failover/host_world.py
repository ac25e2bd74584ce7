"""A host for the contract of the ports: a network, control groups, mounts, root's hands; systemd is a stand-in.

It needs root. What only systemd does, units by their names, is done here by programs in control groups of those names.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from appliance.errors import ApplianceError
from appliance.failover.forms.privileged_client import HelperPaths
from appliance.programs import privileged, read_only
from tests.pace import LONG

ADDRESS, PORT = "10.64.8.1", 8080
IP_FREEBIND = 15
ENDS_WITHIN_SECONDS = LONG * 5.0
SERVE = """
import socket, sys
listening = socket.socket(fileno=int(sys.argv[1]))
while True:
    line, _ = listening.accept()
    line.recv(1000)
    line.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n")
    line.close()
"""


class HostWorld:
    """`service` is served at ADDRESS once `close` was not called; a copy of it beside."""

    def __init__(self, root: Path, service: str) -> None:
        self._before = os.open("/proc/self/ns/net", os.O_RDONLY)
        os.unshare(os.CLONE_NEWNET)
        subprocess.run(("ip", "link", "set", "lo", "up"), check=True)
        self.folder = root / "site"
        self.folder.mkdir()
        cgroups = root / "cgroups"
        cgroups.mkdir()
        subprocess.run(("mount", "-t", "cgroup2", "none", str(cgroups)), check=True)
        self._mount = cgroups
        self._cgroups = cgroups / f"appliance-test-{os.getpid()}"
        self._cgroups.mkdir()
        self._programs: dict[str, subprocess.Popen[bytes]] = {}
        plan = {
            "form": "site",
            "address": ADDRESS,
            "port": PORT,
            "folder": str(self.folder),
            "unit": f"appliance-site@{service}.service",
            "copy": f"appliance-site-copy@{service}.service",
            "here": True,
            "nodes": {"commune-a": "x"},
        }
        served = {"format": 1, "node": "commune-a", "services": {service: plan}}
        self.paths = HelperPaths(root / "served.json", str(self._cgroups), root / "hands.sock")
        self.paths.served.write_text(json.dumps(served))
        self._hands = privileged.Helper(served, self.run, str(root / "holders"), str(self._cgroups))
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self.paths.socket))
        self._listening.listen()
        self._serving = threading.Thread(target=self._serve)
        self._serving.start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._serving.join()
        self._listening.close()
        for unit in list(self._programs):
            self._end(unit)
        self._unmount()
        for folder in sorted(self._cgroups.glob("*.service")):
            folder.rmdir()
        self._cgroups.rmdir()
        subprocess.run(("umount", str(self._mount)), check=True)
        os.setns(self._before, os.CLONE_NEWNET)
        os.close(self._before)

    def run(self, *argv: str, stdin: str = "", may_fail: bool = False) -> None:
        """Carry out a command of the privileged helper: really, but for systemd."""
        if argv[0] != "systemctl":
            privileged.run(*argv, stdin=stdin, may_fail=may_fail)
            return
        verb, unit = argv[1], argv[-1]
        if unit.startswith("appliance-read-only@"):
            self._unmount()
            if verb == "start":
                read_only.begin(str(self.folder))
            return
        if verb in ("stop", "restart", "kill"):
            self._end(unit)
        if verb in ("start", "restart") and not privileged.populated(f"{self._cgroups}/{unit}"):
            self._start(unit)

    def _start(self, unit: str) -> None:
        self._end(unit)
        cgroup = self._cgroups / unit
        cgroup.mkdir()
        with socket.socket() as listening:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.setsockopt(socket.SOL_IP, IP_FREEBIND, 1)
            listening.bind((ADDRESS, PORT if unit.startswith("appliance-site@") else PORT + 1))
            listening.listen()
            argv = (sys.executable, "-c", SERVE, str(listening.fileno()))
            program = subprocess.Popen(argv, pass_fds=(listening.fileno(),))
        self._programs[unit] = program
        (cgroup / "cgroup.procs").write_text(str(program.pid))

    def _end(self, unit: str) -> None:
        cgroup = self._cgroups / unit
        if not cgroup.exists():
            return
        (cgroup / "cgroup.kill").write_text("1")
        if program := self._programs.pop(unit, None):
            program.wait()
        deadline = time.monotonic() + ENDS_WITHIN_SECONDS
        while privileged.populated(str(cgroup)):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        cgroup.rmdir()

    def _unmount(self) -> None:
        """Whether a folder is mounted upon itself, no look at it tells."""
        with contextlib.suppress(ApplianceError):
            read_only.end(str(self.folder))

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                line, _ = self._listening.accept()
                with line, line.makefile("rw") as file:
                    answer = {}
                    try:
                        self._hands.obey(json.loads(file.readline()))
                    except privileged.Refused as error:
                        answer = {"error": str(error)}
                    file.write(json.dumps(answer) + "\n")
