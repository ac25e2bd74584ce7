"""The page from zero to safe, typed line by line on bare hosts, at a copy of this checkout.

A person's part is theirs: a territory written down, fingerprints read from screens, passwords, a sheet typed back.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from appliance.cli.status.text import EXIT_CODES
from appliance.errors import OK, WARNINGS
from appliance.host.command import run
from appliance.host.network import netns
from appliance.trust.signed import fingerprint
from appliance_lab.checkout import code_folder
from appliance_lab.hosts import lab as labs
from appliance_lab.hosts import needs
from appliance_lab.hosts.lab import Lab, host_keys
from appliance_lab.hosts.paths import HostPaths
from appliance_lab.hosts.plan import UPLINKS
from appliance_lab.stories.promises import LAB_NAME
from tests.integration.lab.typing_at import Terminal
from tests.pace import LONG
from tests.waiting import wait_until
from tests.worlds.mail_server import mail_server
from tests.worlds.sheets import key_lines, read_sheet
from tests.worlds.typed_pages import shell_blocks

pytestmark = [pytest.mark.root, pytest.mark.xdist_group("lab"), pytest.mark.steps, pytest.mark.timeout(1800)]
ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/how-to/zero-to-safe.md"
TERRITORY = ROOT / "tests/stories/year/territory.yml"
NOT_CODE = shutil.ignore_patterns(".git", ".venv*", "build", "__pycache__", ".*_cache", ".hypothesis")
MONITOR = "parc"
MAIL_PORT = 2525
ANSWERS = {r"[Vv]ault password[^:\n]*: *$": "quatre chats sous un toit", r"\[y/N\]: *$": "y"}
SHEET_ASKED = r"Line (\d) : *$"
TYPED_SECONDS_MAX = LONG * 900.0
SAFE_WITHIN_SECONDS = LONG * 300.0


@dataclass
class Desk:
    """A checkout at a control machine, a lab of bare boxes, and the letters that came."""

    folder: Path
    lab: Lab
    environment: Mapping[str, str]
    letters: list[bytes]
    sheet: list[str] = field(default_factory=list)

    @property
    def inventory(self) -> Path:
        return self.folder / "inventory/valley"

    def type(self, line: str, *good: int) -> str:
        """Type `line` in a shell, answer what it asks as a person does, and return what was shown; fail unless it ends
        with 0 or one of `good`."""
        argv: tuple[str, ...] = ("bash", "-c", line)
        if line != "make deb":
            # The desk stands in the network of the lab: its boxes have addresses nowhere else.
            argv = netns.inside(self.lab.plan.core, argv)
        terminal = Terminal(argv, self.folder, self.environment, {**ANSWERS, SHEET_ASKED: self._line_of_sheet})
        shown = terminal.to_its_end(TYPED_SECONDS_MAX)
        assert terminal.exit_code in (OK, *good), shown[-3000:]
        return shown

    def _line_of_sheet(self, number: re.Match[str]) -> str:
        if not self.sheet:
            self.sheet += key_lines(read_sheet(self.folder / "paper.pdf"))
        return self.sheet[int(number[1]) - 1]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    if reason := needs.why_not():
        pytest.skip(f"no lab here: {reason}")
    for program in ("ansible-playbook", "pdftotext"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: scripts/setup lab")
    folder = tmp_path_factory.mktemp("desk") / "checkout"
    shutil.copytree(code_folder(), folder, symlinks=True, ignore=NOT_CODE)
    home = folder / "inventory/bare"
    home.mkdir()
    shutil.copy(TERRITORY, home)
    paths, name = HostPaths(), os.environ.get(LAB_NAME, "zero")
    lab = labs.up(paths, name, home, print)
    try:
        with mail_taken(lab) as (_, letters), agent_with(lab.own.key) as socket:
            environment = {
                "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
                "LC_ALL": "C.UTF-8",
                "TERM": "xterm",
                "SSH_AUTH_SOCK": socket,
                "ANSIBLE_HOME": str(folder.parent / "ansible"),
                "ANSIBLE_SSH_CONTROL_PATH_DIR": str(lab.own.control_paths),
            }
            yield Desk(folder, lab, environment, letters)
    finally:
        labs.down(paths, name, print)


def mail_taken(lab: Lab) -> AbstractContextManager[tuple[int, list[bytes]]]:
    """A mail server beside the monitoring node, in the network of that site."""
    site = lab.plan.site(lab.plan.node(MONITOR).site)
    return mail_server(address=(str(site.gateway), MAIL_PORT), namespace=site.namespace)


@contextmanager
def agent_with(key: Path) -> Iterator[str]:
    """The socket of an SSH agent that has `key`, as a person at a desk has one."""
    started = run(("ssh-agent", "-s"), timeout_seconds=60, check=True).stdout.decode()
    found = dict(re.findall(r"^(SSH_\w+)=([^;]+);", started, re.MULTILINE))
    try:
        run(("ssh-add", "-q", str(key)), timeout_seconds=60, env={"SSH_AUTH_SOCK": found["SSH_AUTH_SOCK"]}, check=True)
        yield found["SSH_AUTH_SOCK"]
    finally:
        os.kill(int(found["SSH_AGENT_PID"]), signal.SIGTERM)


def describe(desk: Desk) -> None:
    """Write what a person writes into the files that the page names."""
    shutil.copy(TERRITORY, desk.inventory)
    site = desk.lab.plan.site(desk.lab.plan.node(MONITOR).site)
    mail = {"host": str(site.gateway), "port": MAIL_PORT, "tls": "none", "from": "a@x.fr", "to": ["regie@x.fr"]}
    settings = {
        "firewall_operators": [str(UPLINKS)],
        "storage_encryption": "none",
        "monitoring_addressees": {"regie": mail},
    }
    (desk.inventory / "group_vars").mkdir()
    text = "".join(f"{name}: {json.dumps(value)}\n" for name, value in settings.items())
    (desk.inventory / "group_vars/all.yml").write_text(text)


def meetings(desk: Desk, line: str) -> Iterator[str]:
    """The line of the page once for each box, with what its screen shows."""
    for node in desk.lab.plan.nodes:
        seen = fingerprint(host_keys(desk.lab)[node.name])
        yield line.replace("commune-a", node.name).replace("SHA256:...", seen)


def test_the_page_makes_a_territory_of_bare_boxes_in_which_everything_is_safe(desk: Desk) -> None:
    *typed, look = "".join(shell_blocks(PAGE)).splitlines()
    for line in typed:
        for it in list(meetings(desk, line)) if "trust-host-key" in line else [line]:
            desk.type(it, *([WARNINGS] if it.startswith("appliance territory ") else []))
        if line.startswith("cp -r "):
            describe(desk)
    wait_until(lambda: all_is_well(desk, look), "every node is ok", SAFE_WITHIN_SECONDS)
    wait_until(lambda: any(b"Essai" in it for it in desk.letters), "the letter comes")


def all_is_well(desk: Desk, look: str) -> bool:
    """Whether the last line of the page shows every node, and each is ok."""
    shown = desk.type(look, *EXIT_CODES.values())
    return {it.name for it in desk.lab.plan.nodes} <= set(re.findall(r"^ok +(\S+)", shown, re.MULTILINE))
