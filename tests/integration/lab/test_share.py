"""A share of a provisioned node, from PCs in its building and elsewhere; its people come in at a standby too."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from appliance.accounts.groups import mark
from appliance.config.load import load
from appliance.host.command import Result, run
from appliance.host.network import netns
from appliance.secret import Secret
from appliance_lab.hosts.lab import Lab
from appliance_lab.hosts.pc import NO_PASSWORD, Pc
from appliance_lab.stories.context import StoryContext
from appliance_lab.stories.left import look
from appliance_lab.stories.previous_versions import CLERK, previous_versions

INVENTORY = Path(__file__).parents[3] / "inventory/lab"
RECYCLE = Path(__file__).parents[3] / "systemd/appliance-recycle.service"
BIN = "/srv/shares/documents/Corbeille"
ORIGIN, STANDBY, OTHER = "commune-a", "hermitage", "commune-b"
PASSWORD = "un pressoir sous la neige"

pytestmark = [pytest.mark.root, pytest.mark.xdist_group("lab"), pytest.mark.timeout(900)]


def ssh(lab: Lab, node: str, *words: str, stdin: bytes | None = None) -> Result:
    config = str(lab.own.ssh_config)
    return run(("ssh", "-F", config, node, *words), timeout_seconds=120, stdin=stdin)


def did(lab: Lab, node: str, *words: str, stdin: bytes | None = None) -> str:
    result = ssh(lab, node, *words, stdin=stdin)
    assert result.exit_code == 0, f"{node}: {words}: {result.stdout.decode()} {result.tail(10)}"
    return result.stdout.decode()


def pc(lab: Lab, place: str, name: str = "", password: Secret = NO_PASSWORD) -> Pc:
    """A PC in the building of `place` that turns to ORIGIN."""
    site = lab.plan.site(place)
    return Pc(netns.inside(site.namespace, ()), str(lab.plan.node(ORIGIN).address), name, password)


@pytest.fixture(scope="module")
def share() -> str:
    return load(INVENTORY).service("docs-a").share


def test_a_clerk_gets_yesterdays_file_back_alone(provisioned: Lab) -> None:
    lab = provisioned
    context = StoryContext(lab.plan.lab, INVENTORY, print, look(lab.plan.lab))
    said = previous_versions(context)
    assert "SMB 1" in said
    assert CLERK in said
    did(lab, ORIGIN, "appliance", "account", "remove", CLERK)


def test_only_pcs_of_the_building_reach_it(provisioned: Lab, share: str) -> None:
    did(provisioned, ORIGIN, "appliance", "account", "add", "paul", stdin=f"{PASSWORD}\n".encode())
    password = Secret(PASSWORD.encode())
    assert pc(provisioned, ORIGIN, "paul", password).refusal(share, "ls") == ""
    assert pc(provisioned, OTHER, "paul", password).refusal(share, "ls")
    assert pc(provisioned, ORIGIN).refusal(share, "ls")
    did(provisioned, ORIGIN, "appliance", "account", "disable", "paul")
    assert pc(provisioned, ORIGIN, "paul", password).refusal(share, "ls") == "NT_STATUS_ACCOUNT_DISABLED"
    did(provisioned, ORIGIN, "appliance", "account", "enable", "paul")


def test_a_node_without_shares_has_no_samba(provisioned: Lab) -> None:
    assert ssh(provisioned, OTHER, "test", "-e", "/usr/sbin/smbd").exit_code == 1


def test_samba_serves_without_netbios_and_the_bin_has_its_timer(provisioned: Lab) -> None:
    assert did(provisioned, ORIGIN, "systemctl", "is-active", "appliance-recycle.timer").strip() == "active"
    assert "nmbd" not in did(provisioned, ORIGIN, "ps", "-e", "-o", "comm")


def test_the_unit_that_empties_the_bin_leaves_what_is_young_and_may_delete_the_rest(provisioned: Lab) -> None:
    """The day a file came there cannot be set: the second time the very unit asks for what is young instead."""
    folder = f"{BIN}/Conseil"
    made = f"install --directory --owner=nobody --mode=2770 {folder}"
    did(provisioned, ORIGIN, f"{made} && install --owner=nobody --mode=0660 /etc/hostname {folder}/brouillon.txt")
    empty = ("systemctl", "start", "appliance-recycle.service")
    did(provisioned, ORIGIN, *empty)
    did(provisioned, ORIGIN, "test", "-e", f"{folder}/brouillon.txt")
    lines = [line for line in RECYCLE.read_text().splitlines() if line.startswith("ExecStart=")]
    young = re.sub(r"-ctime \+\d+", "-ctime -1", "\n".join(("[Service]", "ExecStart=", *lines, "")))
    assert young.count("-ctime -1") == len(lines) == 2
    place = "/run/systemd/system/appliance-recycle.service.d"
    try:
        did(provisioned, ORIGIN, f"mkdir {place} && cat >{place}/young.conf", stdin=young.encode())
        did(provisioned, ORIGIN, "systemctl", "daemon-reload")
        asked = did(provisioned, ORIGIN, "systemctl", "show", "--property=ExecStart", "appliance-recycle.service")
        assert asked.count("-ctime -1") == len(lines)
        did(provisioned, ORIGIN, *empty)
    finally:
        did(provisioned, ORIGIN, f"rm -r {place} && systemctl daemon-reload")
    assert did(provisioned, ORIGIN, "find", BIN, "-mindepth", "1") == ""


def test_after_a_restore_at_the_standby_people_log_in_there_with_the_password_they_have(provisioned: Lab) -> None:
    lab = provisioned
    did(lab, ORIGIN, "appliance", "backup", "run", f"appliance-{ORIGIN}")
    file = "/srv/accounts/accounts.json"
    did(lab, STANDBY, "rm", "-rf", "/srv/back")
    words = ("--service", f"appliance-{ORIGIN}", "--to", "/srv/back")
    did(lab, STANDBY, "appliance", "restore", "file", file, *words)
    did(lab, STANDBY, "appliance", "internal", "account", "sync", "--from", f"/srv/back{file}")
    at_home = did(lab, ORIGIN, "grep", "^paul:", "/srv/accounts/smbpasswd").split(":")
    at_standby = did(lab, STANDBY, "grep", "^paul:", "/srv/accounts/smbpasswd").split(":")
    assert at_standby[2:] == at_home[2:]
    assert did(lab, STANDBY, "id", "--name", "--groups", "paul").split() == [
        "appliance-people",
        f"people-{mark(ORIGIN)}",
    ]
    did(lab, STANDBY, "appliance", "internal", "account", "sync", "--without", ORIGIN)
    assert ssh(lab, STANDBY, "grep", "^paul:", "/srv/accounts/smbpasswd").exit_code == 1
