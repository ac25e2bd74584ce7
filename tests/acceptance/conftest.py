"""The acceptance suite: collected only where somebody names hosts, and about a host only if that lets us in.

A host that is off, or lets us in with too few rights, is named once, in one sentence; its tests are skipped, and the
run exits with 2 unless something failed.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import testinfra
from testinfra.host import Host
from testinfra.utils.ansible_runner import AnsibleRunner

from tests.acceptance.looking import COMMANDS, Looked

NOT_LOOKED_AT = 2
"""The exit code of a run in which nothing failed and not every host could be looked at."""
SILENT = pytest.StashKey[dict[str, str]]()
OF_ROLE = ("voter",)
"""Fixtures that are each host with that role in turn."""
REMEDIES = {
    "Permission denied": "Give the key of an operator to the SSH agent: ssh-add FILE.",
    "Host key verification failed": "Compare its fingerprint on its screen, then: appliance node trust-host-key.",
}
MARK = "__ansible_unsafe"
SWITCHED_ON = "Check that it is switched on and that its sshd runs."


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    return None if config.getoption("hosts", None) else True


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SILENT] = {}
    if config.getoption("hosts", None):
        runner = AnsibleRunner.get_runner(config.getoption("ansible_inventory"))
        runner.inventory = plain(runner.inventory)


def plain(value: Any) -> Any:
    """`value` of ansible-inventory without the marks of texts that are no templates, which testinfra 10.2 does not
    know."""
    if isinstance(value, dict):
        return value[MARK] if value.keys() == {MARK} else {key: plain(it) for key, it in value.items()}
    return [plain(it) for it in value] if isinstance(value, list) else value


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for role in OF_ROLE:
        if role in metafunc.fixturenames:
            inventory = metafunc.config.getoption("ansible_inventory")
            asked, have = (
                testinfra.get_hosts(names.split(","), ansible_inventory=inventory)
                for names in (metafunc.config.getoption("hosts"), f"ansible://{role}")
            )
            wanted = {it.backend.host for it in asked}
            found = [it for it in have if it.backend.host in wanted]
            metafunc.parametrize(role, found, ids=[it.backend.get_pytest_id() for it in found], indirect=True)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if session.config.stash[SILENT] and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = NOT_LOOKED_AT


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for name, sentence in config.stash[SILENT].items():
        terminalreporter.write_line(f"{name} was not looked at: {sentence}")


@dataclass
class Visit:
    """The hosts of this run by name: what lets us look at them, or why nothing does."""

    connections: Path
    found: dict[str, Looked | str] = field(default_factory=dict)

    def look(self, host: Host) -> Looked | str:
        """The first time, log in; every later command takes the same connection."""
        name = str(host.backend.host)
        if name not in self.found:
            self.found[name] = self._log_in(name, host)
        return self.found[name]

    def _log_in(self, name: str, host: Host) -> Looked | str:
        under = host.backend.ansible_runner.get_host(name)
        if under is not None:
            # ansible.cfg has connections stay open; testinfra gives them no place unless the file names one for all.
            under.backend.controlpath = str(self.connections / name)
        try:
            number = host.run(COMMANDS["account"]).stdout.strip()
        except RuntimeError as error:
            return _reason(str(getattr(error.args[0], "stderr", error)))
        if number != "0":
            return f"its account number {number} lets us in, and only root may look. Set ansible_user to root."
        return Looked(name, host, host.ansible.get_variables())

    def leave(self) -> None:
        for line in self.connections.glob("*"):
            words = ("ssh", "-F", "none", "-o", f"ControlPath={line}", "-O", "exit", "node")
            subprocess.run(words, capture_output=True, check=False)
        shutil.rmtree(self.connections)


def _reason(said: str) -> str:
    """Why SSH did not let us in, from the last line of what it `said`."""
    line = (said.strip().splitlines() or ["nothing was said"])[-1].strip().removeprefix("ssh: ").rstrip(".")
    remedy = next((it for sign, it in REMEDIES.items() if sign in line), SWITCHED_ON)
    return f"no login by SSH ({line}). {remedy}"


@pytest.fixture(scope="session")
def visit() -> Iterator[Visit]:
    made = Visit(Path(tempfile.mkdtemp(prefix="acceptance-")))
    yield made
    made.leave()


@pytest.fixture
def node(host: Host, visit: Visit, request: pytest.FixtureRequest) -> Looked:
    """Each host in turn."""
    return _looked_at(host, visit, request.config)


@pytest.fixture
def voter(visit: Visit, request: pytest.FixtureRequest) -> Looked:
    """Each voter in turn."""
    return _looked_at(request.param, visit, request.config)


def _looked_at(host: Host, visit: Visit, config: pytest.Config) -> Looked:
    found = visit.look(host)
    if isinstance(found, str):
        config.stash[SILENT][host.backend.host] = found
        pytest.skip(found)
    return found
