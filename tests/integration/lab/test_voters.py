"""Voters on hosts: they agree as soon as they are provisioned, go on without one, and let nobody else in.

The last tests take voters away, the very last one all of them: they come last.
"""

from __future__ import annotations

import json

import pytest

from appliance.host.command import Result, run
from appliance_lab.hosts import machine
from appliance_lab.hosts.control_machine import ControlMachine
from appliance_lab.hosts.lab import Lab
from appliance_lab.hosts.playbook import play_well
from tests.integration.lab.meshed import until

VOTERS = {"hermitage": "10.64.0.1", "commune-b": "10.64.0.3", "commune-c": "10.64.0.4"}
CLIENT = "commune-a"
UNIT = "appliance-voter.service"

pytestmark = [pytest.mark.root, pytest.mark.xdist_group("lab"), pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def lab(provisioned: Lab) -> Lab:
    return provisioned


def on(lab: Lab, node: str, *argv: str) -> Result:
    return run(machine.enter_argv(lab.plan.node(node), argv), timeout_seconds=300)


def members(lab: Lab, node: str) -> set[str]:
    """Return the voters that the voter on `node` knows; none while no majority answers."""
    found = on(lab, node, "appliance", "--json", "voter", "show")
    return {each["node"] for each in json.loads(found.stdout)["voters"]} if found.exit_code == 0 else set()


def listens(lab: Lab, node: str) -> set[str]:
    found = on(lab, node, "ss", "--no-header", "--tcp", "--listening", "--numeric", "sport >= :2379 and sport <= :2380")
    return {line.split()[3] for line in found.stdout.decode().splitlines()}


@pytest.mark.parametrize("node", VOTERS)
def test_a_voter_listens_to_the_loopback_and_to_the_mesh(lab: Lab, node: str) -> None:
    until(lambda: listens(lab, node) == {"127.0.0.1:2379", f"{VOTERS[node]}:2380"}, f"the voter of {node} listens")
    assert on(lab, node, "systemctl", "start", "etcd.service").exit_code == 0, "its condition holds it back"
    assert on(lab, node, "systemctl", "is-active", "--quiet", "etcd.service").exit_code != 0


def test_who_does_not_vote_has_no_etcd(lab: Lab) -> None:
    assert listens(lab, CLIENT) == set()
    assert on(lab, CLIENT, "which", "etcd").exit_code != 0


def test_the_unit_is_confined_and_sees_no_key_but_its_own(lab: Lab) -> None:
    exposure = on(lab, "commune-b", "systemd-analyze", "security", "--no-pager", UNIT)
    score = float(exposure.stdout.decode().strip().splitlines()[-1].split(":")[-1].split()[0])
    assert score < 2.5, exposure.stdout.decode()[-400:]
    user = on(lab, "commune-b", "systemctl", "show", "--property", "User,DynamicUser", UNIT)
    assert "DynamicUser=yes" in user.stdout.decode()


@pytest.mark.parametrize("voter", VOTERS)
def test_a_node_that_does_not_vote_finds_the_door_of_the_voters_closed(lab: Lab, voter: str) -> None:
    for port in ("2379", "2380"):
        knocked = on(lab, CLIENT, "timeout", "3", "bash", "-c", f"exec 3<>/dev/tcp/{VOTERS[voter]}/{port}")
        assert knocked.exit_code != 0


def test_two_of_three_go_on_and_the_third_catches_up(lab: Lab) -> None:
    until(lambda: members(lab, "hermitage") == set(VOTERS), "all have found each other")
    assert on(lab, "commune-c", "systemctl", "stop", UNIT).exit_code == 0
    assert members(lab, "commune-b") == set(VOTERS)
    assert on(lab, "commune-b", "systemctl", "stop", UNIT).exit_code == 0
    assert members(lab, "hermitage") == set(), "one of three decides nothing"
    for node in ("commune-b", "commune-c"):
        assert on(lab, node, "systemctl", "start", UNIT).exit_code == 0
    until(lambda: members(lab, "hermitage") == set(VOTERS), "they are three again")


def test_the_alarm_of_a_voter_that_died_ends_when_it_answers_again(lab: Lab) -> None:
    alarm = f"/var/lib/appliance-alarms/{UNIT}"
    assert on(lab, "commune-b", "systemctl", "kill", "--signal=KILL", UNIT).exit_code == 0
    until(lambda: on(lab, "commune-b", "test", "-e", alarm).exit_code == 0, "it is told")
    until(lambda: on(lab, "commune-b", "test", "-e", alarm).exit_code != 0, "it is over")
    until(lambda: members(lab, "commune-b") == set(VOTERS), "it knows the others")


def test_a_voter_whose_disk_was_lost_is_taken_in_anew(lab: Lab) -> None:
    lost = "commune-c"
    assert on(lab, lost, "systemctl", "stop", UNIT).exit_code == 0
    assert on(lab, lost, "rm", "-r", "/var/lib/private/appliance-voter/etcd").exit_code == 0
    played = play_well(ControlMachine(lab.own.root), "site")
    assert played.recap["hermitage"]["failed"] == 0
    until(lambda: members(lab, lost) == set(VOTERS), "it knows the others")
    assert on(lab, "commune-b", "systemctl", "stop", UNIT).exit_code == 0
    assert members(lab, "hermitage") == set(VOTERS), "its vote counts"
    assert on(lab, "commune-b", "systemctl", "start", UNIT).exit_code == 0
    again = play_well(ControlMachine(lab.own.root), "site")
    assert again.changed == 0


def test_all_voters_that_lost_their_disks_come_back_from_one_copy(lab: Lab) -> None:
    memory = "/var/lib/private/appliance-voter"
    copies = on(lab, "hermitage", "find", "/srv/appliance/node/voter-care", "-name", "*.snapshot")
    newest = max(copies.stdout.decode().split())
    copy = on(lab, "hermitage", "cat", newest).stdout
    for node in VOTERS:
        assert on(lab, node, "systemctl", "stop", UNIT).exit_code == 0
    refused = on(lab, "hermitage", "appliance", "voter", "restore", newest)
    assert (refused.exit_code, b"still has its data" in refused.stderr) == (8, True)
    told = set()
    for node in VOTERS:
        lost = memory if node == "commune-c" else f"{memory}/etcd"
        assert on(lab, node, "rm", "-r", lost).exit_code == 0
        argv = machine.enter_argv(lab.plan.node(node), ("tee", "/var/tmp/copy"))
        run(argv, timeout_seconds=300, stdin=copy, check=True)
        made = on(lab, node, "appliance", "--json", "voter", "restore", "/var/tmp/copy")
        assert made.exit_code == 0, made.stderr
        told.add(json.loads(made.stdout)["hash"])
    assert len(told) == 1
    for node in VOTERS:
        assert on(lab, node, "systemctl", "start", "--no-block", UNIT).exit_code == 0
    until(lambda: all(members(lab, node) == set(VOTERS) for node in VOTERS), "they know each other")
