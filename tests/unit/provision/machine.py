"""A host in a folder, and a part of it that is to be installed."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from appliance.host.command import CommandFailed, Result
from appliance.provision.apply import Host
from appliance.provision.files import Part, WantedFile

USER, GROUP = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
RULES, LOAD = "/etc/rules", ("load", "/etc/rules")


@dataclass
class Machine:
    """A host in a folder; its programs are functions, and it remembers what was called."""

    root: Path
    programs: dict[str, Callable[[tuple[str, ...]], bool]] = field(default_factory=dict)
    called: list[tuple[str, ...]] = field(default_factory=list)

    @property
    def host(self) -> Host:
        (self.root / "run").mkdir(exist_ok=True)
        return Host(self.root, self.run)

    def run(self, argv: tuple[str, ...]) -> None:
        self.called.append(argv)
        if not self.programs.get(argv[0], lambda argv: True)(argv):
            raise CommandFailed(Result(argv, 1, b"", b"line 3: no", 0.0))

    def read(self, path: str = RULES) -> str:
        return (self.root / path.lstrip("/")).read_text()

    def without(self, program: str) -> list[tuple[str, ...]]:
        return [argv for argv in self.called if argv[0] != program]


def rules(text: str, check: tuple[str, ...] = (), in_force: tuple[str, ...] = ()) -> Part:
    file = WantedFile(RULES, text, 0o640, USER, GROUP, check=check, reload=LOAD, in_force=in_force)
    return Part("firewall", (file,))
