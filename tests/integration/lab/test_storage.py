"""Disks of provisioned nodes: kept in clear only with a word about it, previous versions, backups of one moment."""

from __future__ import annotations

import json
from typing import Any

import pytest

from appliance.host.command import Result, run
from appliance.host.network import netns
from appliance_lab.hosts.control_machine import TANG_SERVERS
from appliance_lab.hosts.lab import Lab
from appliance_lab.hosts.machine import enter_argv
from appliance_lab.stories.context import IN_USE
from appliance_lab.story import waiting

NODE = "commune-a"
SHARES, SNAPSHOTS = "/srv/shares", "/srv/shares/.snapshots"
ALARM = "/var/lib/appliance-alarms/smart_dev_sda"
TANG_PORT = "7654"
ADVERTISED = """
import http.client, sys
asked = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=5)
asked.request("GET", "/adv")
print(asked.getresponse().read().decode())
"""
"""The first question of clevis to a tang server: its public keys."""

pytestmark = [pytest.mark.root, pytest.mark.xdist_group("lab"), pytest.mark.timeout(900)]


def on(lab: Lab, *argv: str, node: str = NODE) -> Result:
    return run(enter_argv(lab.plan.node(node), argv), timeout_seconds=120)


def said(lab: Lab, *argv: str, node: str = NODE) -> str:
    result = on(lab, *argv, node=node)
    assert result.exit_code == 0, f"{argv}: {result.tail(10)}"
    return result.stdout.decode().strip()


def as_agent(lab: Lab, *argv: str) -> Result:
    return on(lab, "setpriv", "--reuid=appliance", "--regid=appliance", "--init-groups", *argv)


def answer(lab: Lab, *words: str) -> dict[str, Any]:
    result = on(lab, "appliance", "--json", *words)
    assert result.exit_code in (0, 1), result.tail(10)
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_a_disk_in_clear_is_shown_with_the_reason(provisioned: Lab) -> None:
    assert (
        "DISK NOT ENCRYPTED (a container has no device-mapper)"
        in on(provisioned, "appliance", "status").stdout.decode()
    )


def test_an_alarm_of_a_disk_is_shown_until_somebody_takes_it_away(provisioned: Lab) -> None:
    said(provisioned, "sh", "-c", f"echo 'Device: /dev/sda, 8 unreadable sectors' >{ALARM}")
    shown = on(provisioned, "appliance", "status")
    assert shown.exit_code != 0
    assert f"Device: /dev/sda, 8 unreadable sectors. Once that is repaired: rm {ALARM}" in " ".join(
        shown.stdout.decode().split()
    )
    assert as_agent(provisioned, "rm", ALARM).exit_code != 0
    said(provisioned, "rm", ALARM)
    assert "unreadable" not in on(provisioned, "appliance", "status").stdout.decode()


@pytest.mark.parametrize("server", TANG_SERVERS)
def test_a_node_that_helps_others_open_their_disk_answers_nodes_alone(provisioned: Lab, server: str) -> None:
    assert said(provisioned, "systemctl", "is-active", "tangd.socket", node=server) == "active"
    ask = ("python3", "-I", "-c", ADVERTISED, str(provisioned.plan.node(server).address), TANG_PORT)
    assert set(json.loads(said(provisioned, *ask))) >= {"payload", "signature"}
    # What the role asks of each server before it binds a disk to it.
    assert said(provisioned, "tang-show-keys", TANG_PORT, node=server)
    # A PC in the very building of the server.
    outsider = run(netns.inside(provisioned.plan.site(server).namespace, ask), timeout_seconds=300)
    assert outsider.exit_code != 0
    assert "timed out" in outsider.stderr.decode()


def test_a_node_that_helps_nobody_has_no_such_server(provisioned: Lab) -> None:
    assert on(provisioned, "systemctl", "is-active", "tangd.socket").exit_code != 0
    assert on(provisioned, "test", "-e", "/etc/appliance/firewall.d/tang.nft").exit_code != 0


def test_the_timers_of_disks_run(provisioned: Lab) -> None:
    units = ("appliance-snapshots.timer", "appliance-snapshot.socket", "appliance-scrub.timer")
    assert said(provisioned, "systemctl", "is-active", *units).split() == ["active"] * 3


def test_previous_versions_are_made_and_nobody_changes_them(provisioned: Lab) -> None:
    said(provisioned, "systemctl", "start", "appliance-snapshots.service")
    [*_, newest] = said(provisioned, "ls", SNAPSHOTS).split()
    assert newest.startswith("@GMT-")
    assert "Read-only" in on(provisioned, "touch", f"{SNAPSHOTS}/{newest}/file").stderr.decode()
    for word in (("rmdir", f"{SNAPSHOTS}/{newest}"), ("btrfs", "subvolume", "delete", f"{SNAPSHOTS}/{newest}")):
        assert as_agent(provisioned, *word).exit_code != 0
    assert said(provisioned, "ls", "/srv/.appliance-snapshots").startswith("@GMT-")
    assert as_agent(provisioned, "ls", "/srv/.appliance-snapshots").exit_code != 0


def test_a_backup_reads_a_share_as_it_was_at_one_moment(provisioned: Lab) -> None:
    folder = said(provisioned, "sh", "-c", f"ls -d {SHARES}/*/ | head -1").rstrip("/")
    before = said(provisioned, "ls", SNAPSHOTS).split()
    result = as_agent(
        provisioned, "python3", "-I", "-c", TAKEN.format(source=folder, at="/srv/appliance/node/run/moment")
    )
    assert result.exit_code == 0, result.tail(10)
    assert result.stdout.decode().strip() == f"'' {folder.removeprefix(SHARES)}"
    assert len(set(said(provisioned, "ls", SNAPSHOTS).split()) - set(before)) == 1
    with waiting("the end of another backup", 120) as done:
        while True:
            ran = on(provisioned, "appliance", "--json", "backup", "run", "docs-a")
            if done(IN_USE not in ran.tail()):
                break
    told = json.loads(ran.stdout)["read_from"]
    assert [(it["path"], it["how"], it["reason"]) for it in told] == [(folder, "snapshot", "")]


# What the agent does, as its account: ask the helper, read, and find nothing that it could change.
TAKEN = """
import os, shutil
from contextlib import ExitStack
from pathlib import Path
from appliance.backup.sources.snapshot_client import take
at = Path("{at}")
with ExitStack() as held:
    reason = take("{source}", at / "{source}".lstrip("/"), held)
    seen = at / "{source}".lstrip("/")
    print(repr(reason), os.path.realpath(seen).partition("/@GMT-")[2][len("2026.11.25-08.00.00"):])
shutil.rmtree(at)
"""
