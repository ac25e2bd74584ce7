"""The share `docs-a` that moves between hosts of a lab with its people, and what tests ask of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import ApplianceError
from appliance.host.command import run
from appliance.host.network import netns
from appliance.secret import Secret
from appliance_lab.checkout import appliance_argv
from appliance_lab.hosts.disturb import disturb
from appliance_lab.hosts.faults import HEALED, Fault, targets
from appliance_lab.hosts.pc import Pc
from tests.integration.lab.moving.sites import CLIENT, HOME, STANDBY, Sites, until

SERVICE, SHARE, FOLDER, ADDRESS = "docs-a", "Documents", "/srv/shares/documents", "10.64.8.3"
OWN = f"appliance-{HOME}"
PERSON, PASSWORD = "marie", Secret(b"un pressoir sous la neige")
FIRST, FIRST_TEXT = "avant.txt", "du Samba de Debian"


@dataclass(frozen=True)
class Shares(Sites):
    def at_home(self, place: str = HOME) -> Pc:
        """A PC in the building of `place` that turns to the box of commune-a, as it always has."""
        return Pc(netns.inside(self.lab.plan.site(place).namespace, ()), self.address(HOME), PERSON, PASSWORD)

    def over_the_mesh(self, node: str = CLIENT) -> Pc:
        """Somebody at `node` who turns to the share's own address."""
        return Pc(netns.inside(self.namespace(node), ()), ADDRESS, PERSON, PASSWORD)

    def serves(self, node: str) -> bool:
        unit = f"appliance-share@{SERVICE}.service"
        return self.run(node, "systemctl", "is-active", "--quiet", unit, check=False).exit_code == 0

    def may_be_written(self, node: str) -> bool:
        """By anybody at all, root included."""
        return self.run(node, "test", "-w", FOLDER, check=False).exit_code == 0

    @contextmanager
    def line_cut(self) -> Iterator[None]:
        """The town hall of HOME has no line; within its building everything reaches everything."""
        links = targets(self.lab.plan, f"{HOME}--*")
        disturb(self.lab, dict.fromkeys(links, Fault(cut=True)))
        try:
            yield
        finally:
            disturb(self.lab, dict.fromkeys(links, HEALED))

    def people_of_home(self, node: str) -> set[str]:
        """Return the people that `node` lets in with the accounts of HOME."""
        listed = json.loads(self.appliance(node, "account", "list").stdout)
        return {it["name"] for it in listed["accounts"].get(HOME, [])}

    def declare(self) -> None:
        """Somebody has a file in the share, which is to have an address."""
        typed = PASSWORD.reveal() + b"\n"
        self.run(HOME, "appliance", "account", "add", PERSON, "--title", "Marie Dupont", stdin=typed)
        self.put_first()
        self.change_territory(r"(^  docs-a:\n    title: [^\n]*\n)", rf"\1    address: {ADDRESS}\n")

    def put_first(self) -> None:
        until(lambda: self.at_home().refusal(SHARE, "ls") == "", "PCs at home come in")
        self.at_home().put(SHARE, FIRST, FIRST_TEXT)

    def promote(self, folder: Path) -> None:
        """Sign the promotion as the person who answers for it."""
        act = folder / "promote.act"
        words = ("--service", SERVICE, "--reason", "the town hall is cut off", "--operator", "maintenance")
        signed = ("act", "sign", "promote", STANDBY, *words, "--key", str(self.desk.operator_key), "--out", str(act))
        run((*appliance_argv(), *signed), timeout_seconds=300, check=True)
        self.run(STANDBY, "tee", "/srv/promote.act", stdin=act.read_bytes())
        self.move("promote", SERVICE, "--act", "/srv/promote.act")


def reads(pc: Pc, file: str, text: str) -> bool:
    """Whether a PC reads the file. A server that is not there yet is not waited for: TCP would try again after a
    minute."""
    asks = f"import socket; socket.create_connection(({pc.server!r}, 445), 1)"
    if run((*pc.inside, "python3", "-I", "-c", asks), timeout_seconds=300).exit_code != 0:
        return False
    with suppress(ApplianceError):
        return pc.get(SHARE, file) == text
    return False
