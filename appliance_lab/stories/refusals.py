"""The refusals of unknown keys, neighbours and mistakes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from appliance.config.load import load
from appliance.errors import IntegrityError
from appliance.host.command import run
from appliance.host.network import netns
from appliance.territory.model import Territory
from appliance_lab.checkout import appliance_argv, code_folder
from appliance_lab.hosts.control_machine import ControlMachine
from appliance_lab.hosts.playbook import play
from appliance_lab.stories.context import BLIND, ORIGIN, SPARE, STANDBY, StoryContext
from appliance_lab.story import require

KEY = "/srv/appliance/node/keys/ssh_ed25519"
WRONG = "SHA256:" + "A" * 43
SHELLS = ("id", "cat /etc/passwd", "")
ANSWER_SECONDS = 15


def refusals(context: StoryContext) -> str:
    """A neighbour's key opens the vault and nothing else; an unknown key opens nothing; a mistake changes nothing."""
    checks = (_neighbour, _stranger, _wrong_fingerprint, _duplicate_address)
    return "; ".join(check(context) for check in checks)


def _neighbour(context: StoryContext) -> str:
    """With the key of a node's vault account: no shell, no command, no file, no forwarding."""
    address = _territory(context).node(STANDBY).mesh
    words = (*_ssh_words(ORIGIN), f"vault-{ORIGIN}@{address}")
    for command in SHELLS:
        said = context.ssh(ORIGIN, "timeout", str(ANSWER_SECONDS), "ssh", *words, f"'{command}'", "</dev/null")
        require(b"uid=" not in said.stdout and b"root:" not in said.stdout, f"a neighbour ran `{command}`.")
    for account in ("root", f"vault-{SPARE}"):
        context.refused(ORIGIN, "ssh", *_ssh_words(ORIGIN), f"{account}@{address}", "true")
    context.refused(ORIGIN, "sftp", "-b", "/dev/null", *words)
    context.refused(ORIGIN, "ssh", "-o", "ExitOnForwardFailure=yes", "-N", "-R", "9999:127.0.0.1:22", *words)
    return f"{ORIGIN}'s key gets no shell, no other account, no file and no forwarding at {STANDBY}"


def _stranger(context: StoryContext) -> str:
    """From a machine of another site, outside the mesh, no port of a node answers."""
    lab = context.lab
    target = str(lab.plan.node(ORIGIN).address)
    open_ports = [
        port
        for port in (22, 53, 80, 139, 445, 3142, 5432, 8080)
        if _answers(lab.plan.node(BLIND).namespace, target, port)
    ]
    require(not open_ports, f"{ORIGIN} answers {BLIND} outside the mesh at {open_ports}.")
    return f"{ORIGIN} answers no neighbour outside the mesh"


def _wrong_fingerprint(context: StoryContext) -> str:
    """Nothing is sent to a machine whose host key is not the one on its screen, and nothing remembered."""
    lab, control = context.lab, context.control
    before = (control.inventory / "known_hosts").read_bytes()
    words = ("node", "trust-host-key", SPARE, "--fingerprint", WRONG, "--territory", str(control.inventory))
    result = run(
        netns.inside(lab.plan.core, (*appliance_argv(), *words, "--identity", str(lab.own.key))),
        timeout_seconds=60,
        env={"PYTHONPATH": str(code_folder())},
    )
    require(result.exit_code == IntegrityError.exit_code, f"a wrong fingerprint ended with {result.exit_code}.")
    require((control.inventory / "known_hosts").read_bytes() == before, "a wrong fingerprint was remembered.")
    return "a wrong fingerprint ends first contact"


def _duplicate_address(context: StoryContext) -> str:
    """A mistake in the territory is told with its line, before any node is touched."""
    return _with_mistake(context, lambda text: text.replace("10.77.2.10", "10.77.1.10"), "already the address")


def _with_mistake(context: StoryContext, make: Callable[[str], str], sentence: str) -> str:
    with tempfile.TemporaryDirectory() as name:
        control = ControlMachine(Path(name))
        shutil.copytree(context.control.inventory, control.inventory)
        file = control.inventory / "territory.yml"
        file.write_text(make(file.read_text()))
        played = play(control, "site")
    require(played.exit_code != 0 and not played.recap, "a territory with a mistake was played.")
    told = next((line for line in played.text.splitlines() if sentence in line), "")
    require("territory.yml:" in told, f"the mistake was not told with its line: {played.tail()}")
    return f"`{told.rpartition('/')[2]}` ends site before any node is touched"


def _ssh_words(caller: str) -> tuple[str, ...]:
    options = (
        "BatchMode=yes",
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        "ConnectTimeout=10",
        "LogLevel=ERROR",
    )
    return ("-F", "none", "-i", KEY, *(word for option in options for word in ("-o", option)))


def _answers(namespace: str, address: str, port: int) -> bool:
    try:
        netns.connect(namespace, address, port, 0.5).close()
    except OSError:
        return False
    return True


def _territory(context: StoryContext) -> Territory:
    return load(context.control.inventory)
