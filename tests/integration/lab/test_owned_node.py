"""A thief is root on commune-a and has all its keys: what opens to him at the other nodes, over the mesh.

sshd lets nobody in for a while who was refused often. So what is tried with the right account comes first.
"""

from __future__ import annotations

import json
import struct

import pytest

from appliance_lab.hosts.lab import Lab
from tests.integration.lab.meshed import MESH, Meshed, until

OWNED, HOLDER, OTHER, FLOODING = "commune-a", "hermitage", "commune-b", "commune-c"
OWN_DOOR = f"vault-{OWNED}"
KEYS = (
    "/srv/appliance/node/keys/ssh_ed25519",
    "/srv/appliance/node/keys/sign_ed25519",
    "/etc/ssh/ssh_host_ed25519_key",
)
SSH = ("ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "ConnectTimeout=5")
SSH += ("-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "IdentitiesOnly=yes")
SSH += tuple(word for key in KEYS for word in ("-o", f"IdentityFile={key}"))
NOTHING_BUT = "This key gives access only to the vault of this node: no shell, no files."
ACCOUNTS = (
    "root",
    "appliance",
    "appliance-vault",
    "appliance-sealed",
    "appliance-check",
    "vault-commune-b",
    "vault-commune-c",
    "vault-hermitage",
    "nobody",
    "daemon",
)

pytestmark = [pytest.mark.root, pytest.mark.xdist_group("lab"), pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def hosts(provisioned: Lab) -> Meshed:
    return Meshed(provisioned)


def tried(hosts: Meshed, node: str, user: str, command: str = "", *options: str, stdin: bytes = b"") -> tuple[int, str]:
    """Return the result of ssh with the keys of the owned node: its exit code, and both of its outputs."""
    argv = (*SSH, *options, f"{user}@{MESH[node]}", *([command] if command else []))
    result = hosts.run(OWNED, *argv, stdin=stdin, check=False)
    return result.exit_code, (result.stdout + result.stderr).decode(errors="replace")


def test_its_own_door_opens_to_the_vault_alone(hosts: Meshed) -> None:
    """Its agent may be knocking too, just after the start, and a door lets in few of one house at once."""
    until(lambda: tried(hosts, HOLDER, OWN_DOOR) == (6, NOTHING_BUT + "\n"), "its door opens")


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("sh", ()),
        ("appliance-vault; id", ()),
        ("cat /etc/appliance/state", ()),
        ("internal-sftp", ()),
        ("sftp", ("-s",)),
        ("id", ("-tt",)),
        ("", ("-W", "127.0.0.1:22")),
        ("", ("-W", "10.64.0.3:22")),
        ("appliance-vault", ("-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:22")),
        ("appliance-vault", ("-o", "ExitOnForwardFailure=yes", "-R", "/run/appliance/x.sock:127.0.0.1:22")),
        ("", ("-w", "any")),
        ("", ("-o", "SetEnv=LD_PRELOAD=/tmp/x PYTHONPATH=/tmp/x BASH_ENV=/tmp/x")),
    ],
)
def test_its_own_door_gives_no_shell_no_file_and_no_way_on(
    hosts: Meshed, command: str, options: tuple[str, ...]
) -> None:
    code, told = tried(hosts, HOLDER, OWN_DOOR, command, *options)
    assert code in (6, 255), told
    assert "uid=" not in told
    assert "SSH-2.0" not in told


def test_the_other_sshd_hands_it_no_socket_and_no_terminal(hosts: Meshed) -> None:
    asks = f"user={OWN_DOOR},host=thief,addr={MESH[OWNED]},laddr={MESH[HOLDER]},lport=22"
    settings = hosts.said(HOLDER, "/usr/sbin/sshd", "-T", "-C", asks).splitlines()
    for wanted in ("disableforwarding yes", "permittty no", "permituserrc no", "authenticationmethods publickey"):
        assert wanted in settings
    assert any(line.startswith("forcecommand ") and line.endswith("connector.py") for line in settings)


@pytest.mark.parametrize(
    ("verb", "service"),
    [
        ("get", "docs-a"),
        ("get-own", "appliance-commune-b"),
        ("put", "appliance-hermitage"),
        ("prove", "appliance-commune-c"),
        ("put", "../../keys"),
        ("delete", "docs-a"),
    ],
)
def test_the_vault_gives_it_nothing_of_anybody_else(hosts: Meshed, verb: str, service: str) -> None:
    answer = asked(hosts, {"appliance": 1, "verb": verb, "service": service, "generation": "x"})
    assert answer["refused"] in ("forbidden", "refused", "not-found"), answer


def test_the_vault_answers_it_of_its_own(hosts: Meshed) -> None:
    """Or the test above would prove nothing."""
    assert "refused" not in asked(hosts, {"appliance": 1, "verb": "head", "service": "docs-a"})


def asked(hosts: Meshed, request: dict[str, object]) -> dict[str, object]:
    """The first answer of the holder's vault to `request`."""
    data = json.dumps(request).encode()
    argv = (*SSH, "-T", f"{OWN_DOOR}@{MESH[HOLDER]}", "appliance-vault")
    said = hosts.run(OWNED, *argv, stdin=struct.pack(">I", len(data)) + data, check=False).stdout
    answer: dict[str, object] = json.loads(said[4 : 4 + struct.unpack(">I", said[:4])[0]])
    return answer


@pytest.mark.parametrize(
    ("node", "user"), [(node, user) for node in (HOLDER, OTHER) for user in ACCOUNTS if user != f"vault-{node}"]
)
def test_no_other_account_opens(hosts: Meshed, node: str, user: str) -> None:
    code, told = tried(hosts, node, user, "id")
    assert code == 255, told
    assert "uid=" not in told


def test_doors_that_it_holds_open_shut_nobody_out(hosts: Meshed) -> None:
    """More connections than sshd takes at once, none of which says who it is."""
    hold = "import socket, sys, time\nheld = []\nfor _ in range(150):\n    s = socket.socket(); s.settimeout(0.2)\n"
    hold += "    try:\n        s.connect((sys.argv[1], 22)); held.append(s)\n    except OSError:\n        pass\n"
    hold += "print(len(held), flush=True)\ntime.sleep(12)\n"
    hosts.run(FLOODING, "systemd-run", "--quiet", "--unit=flood", "python3", "-I", "-c", hold, MESH[HOLDER])
    said = ("journalctl", "--unit=flood", "--output=cat", "--identifier=python3")
    until(lambda: any(map(str.isdigit, hosts.said(FLOODING, *said).split())), "the doors are held open")
    try:
        for _ in range(5):
            assert hosts.ssh(HOLDER, "true").exit_code == 0
            assert hosts.greets(OTHER, MESH[HOLDER])
    finally:
        hosts.run(FLOODING, "systemctl", "stop", "flood", check=False)
