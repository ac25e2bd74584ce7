"""Services that move between hosts: units, addresses, a cut network, a lost power; one writer at any moment.

Of the sites `horaires` is exclusive, `affiches` local-first, `bulletin` a mirror; the share and the database are there
for what happens to all at once. All are at home at commune-a, and the hermitage stands by. The tests follow each other:
each but the last leaves all at home and well, and so this file is the last of the folder.
"""

from __future__ import annotations

import json

import pytest

from appliance_lab.hosts import lab as labs
from appliance_lab.hosts import machine
from tests.integration.lab.moving.databases import SERVICE as DATABASE
from tests.integration.lab.moving.everything import Beside, come_home
from tests.integration.lab.moving.shares import FIRST, FIRST_TEXT, reads
from tests.integration.lab.moving.shares import SERVICE as SHARE
from tests.integration.lab.moving.sites import (
    ADDRESSES,
    CLIENT,
    EXCLUSIVE,
    HOME,
    LEASE_SECONDS,
    LOCAL_FIRST,
    MIRROR,
    OTHER,
    STANDBY,
    Sites,
    assert_one_writer_at_a_time,
    boottime,
    until,
)
from tests.pace import in_time

ZONE = "valley"
COPY_OF_LOCAL_FIRST, COPY_OF_MIRROR = "10.64.0.1:8402", "10.64.0.1:8406"
# 18 s is what was measured for lease and grant; laying files, nginx and a machine of two busy cores come on top.
SERVED_AGAIN_WITHIN_SECONDS = 45.0

pytestmark = [pytest.mark.root, pytest.mark.xdist_group("lab"), pytest.mark.timeout(1200)]


def test_a_site_is_at_one_node_at_its_own_address_and_read_only_at_the_other(sites: Sites) -> None:
    for service in ADDRESSES:
        assert (sites.holds_address(HOME, service), sites.holds_address(STANDBY, service)) == (True, False)
        assert (sites.is_active(HOME, service), sites.is_active(STANDBY, service)) == (True, False)
        assert sites.get(STANDBY, ADDRESSES[service]) == f"{service} 1"
        assert sites.said(OTHER, "getent", "ahostsv4", service).split()[0] == ADDRESSES[service]
        shown = {sites.on_pages(node, service) for node in (HOME, STANDBY)}
        assert shown == {f"{service} 1" if service == MIRROR else ""}, "on the pages everybody reads what is published"


def test_hands_are_lent_to_the_account_of_the_node_alone(sites: Sites) -> None:
    asks = "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/run/appliance-hands/hands.sock')"
    refused = sites.run(HOME, "runuser", "-u", "nobody", "--", "python3", "-I", "-c", asks, check=False)
    assert b"PermissionError" in refused.stderr
    for request, why in (
        ({"verb": "stop", "service": "ssh"}, "no such service"),
        ({"verb": "route", "service": EXCLUSIVE, "node": OTHER}, "is not a candidate for this service"),
    ):
        talk = (
            "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect('/run/appliance-hands/hands.sock');"
            "s.sendall(sys.argv[1].encode() + b'\\n'); print(s.recv(500).decode())"
        )
        said = sites.said(HOME, "runuser", "-u", "appliance", "--", "python3", "-I", "-c", talk, json.dumps(request))
        assert why in said


def test_what_the_bundle_describes_no_more_ends(sites: Sites) -> None:
    served, address = "/etc/appliance/served.d", ADDRESSES[EXCLUSIVE]
    for kind in ("conf", "env"):
        like = f"sed 's/{EXCLUSIVE}/gone/g; s/{address}/127.0.0.9/g' {served}/{EXCLUSIVE}.{kind} > {served}/gone.{kind}"
        sites.run(HOME, "sh", "-c", like)
    try:
        sites.run(HOME, "systemctl", "start", "appliance-site@gone.service")
        until(lambda: not sites.is_active(HOME, "gone"), "nobody looks after it")
    finally:
        sites.run(HOME, "sh", "-c", f"rm {served}/gone.*")
    said = sites.said(HOME, "journalctl", "--unit=appliance-site@gone.service", "--output=cat")
    assert "Started " in said
    assert "Stopping " in said, "it did not end by itself"
    assert sites.is_active(HOME, EXCLUSIVE)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("move", EXCLUSIVE, OTHER), 8),
        (("move", EXCLUSIVE, HOME), 8),
        (("move", EXCLUSIVE, "nobody"), 3),
        (("move", "nothing", STANDBY), 3),
        (("move", MIRROR, STANDBY), 8),
        (("promote", LOCAL_FIRST), 8),
    ],
    ids=["no candidate", "holds it", "no node", "no service", "a mirror", "without an act"],
)
def test_what_cannot_be_is_refused_and_changes_nothing(sites: Sites, words: tuple[str, ...], code: int) -> None:
    refused = sites.appliance(STANDBY, "failover", *words)
    assert refused.exit_code == code, refused.stderr.decode()
    assert sites.state(HOME, words[1]) in ("ACTIVE", "ISOLATED_RW", "")


def test_a_planned_move_loses_nothing_and_comes_home_again(sites: Sites) -> None:
    mark, page = f"/srv/appliance/node/services/{EXCLUSIVE}/ready.json", f"srv/sites/{EXCLUSIVE}/{HOME}/pages/1"
    until(lambda: sites.run(STANDBY, "test", "-e", mark, check=False).exit_code == 0, "it is laid out ahead")
    laid = sites.said(STANDBY, "stat", "--format=%i", f"/srv/sites/.laying/{EXCLUSIVE}.room/{page}")
    begun = boottime()
    assert sites.write(HOME, EXCLUSIVE, "horaires 2")
    moved = sites.appliance(STANDBY, "failover", "move", EXCLUSIVE, STANDBY)
    assert moved.exit_code == 0, moved.stderr.decode()
    until(lambda: sites.get(CLIENT, ADDRESSES[EXCLUSIVE]) == "horaires 2", "it is served elsewhere")
    assert sites.holds_address(STANDBY, EXCLUSIVE)
    assert not sites.holds_address(HOME, EXCLUSIVE)
    assert sites.said(STANDBY, "stat", "--format=%i", f"/{page}") == laid, "it came by a rename, and was not copied"
    assert not sites.may_write(HOME, EXCLUSIVE), "where it is not served nothing is written"
    assert sites.write(STANDBY, EXCLUSIVE, "horaires 3")
    with sites.counting(CLIENT, f"ip saddr {ADDRESSES[EXCLUSIVE]} udp dport 9") as came:
        for node in (HOME, HOME, STANDBY):
            sites.send_as(EXCLUSIVE, node)
        until(lambda: int(came) > 0, "who holds it is heard")
        assert int(came) == 1, "the mesh drops what the former holder sends as the service"
    sites.bring_as_root(STANDBY, EXCLUSIVE)
    until(lambda: sites.state(HOME, EXCLUSIVE) == "STANDBY", "its home stands by")
    back = sites.appliance(STANDBY, "failover", "move", EXCLUSIVE, HOME)
    assert back.exit_code == 0, back.stderr.decode()
    until(lambda: sites.get(CLIENT, ADDRESSES[EXCLUSIVE]) == "horaires 3", "it is home with all that was written")
    assert sites.holds_address(HOME, EXCLUSIVE)
    for node in (HOME, STANDBY):
        assert sites.said(HOME, "cat", f"/srv/sites/{EXCLUSIVE}/{node}/pages/1").strip() == "1"
    assert_one_writer_at_a_time(sites, EXCLUSIVE, begun)


def test_a_holder_that_is_cut_off_stops_by_its_own_clock_before_another_begins(sites: Sites) -> None:
    until(lambda: sites.state(STANDBY, EXCLUSIVE) == "STANDBY", "the standby has a copy")
    begun = boottime()
    with sites.cut_off(HOME):
        stopped = until(lambda: not sites.is_active(HOME, EXCLUSIVE), "it stops by itself", LEASE_SECONDS + 2)
        assert not sites.holds_address(HOME, EXCLUSIVE)
        until(lambda: not sites.may_write(HOME, EXCLUSIVE), "its files are read-only", 5)
        served = until(lambda: sites.get(CLIENT, ADDRESSES[EXCLUSIVE]) == "horaires 3", "the standby serves it")
        assert in_time(stopped + served, SERVED_AGAIN_WITHIN_SECONDS)
        assert sites.write(HOME, LOCAL_FIRST, "affiches 2"), "a local-first home is cut off and works on"
        assert sites.get(HOME, ADDRESSES[LOCAL_FIRST]) == "affiches 2"
        assert sites.state(HOME, LOCAL_FIRST) == "ISOLATED_RW"
        until(lambda: sites.get(CLIENT, COPY_OF_LOCAL_FIRST) == "affiches 1", "the dated copy is shown")
        assert sites.on_pages(STANDBY, MIRROR) == "bulletin 1", "its home is silent: a copy is read"
        assert not sites.is_active(STANDBY, LOCAL_FIRST), "nobody else writes it without a signed act"
    assert_one_writer_at_a_time(sites, EXCLUSIVE, begun)
    until(lambda: sites.get(CLIENT, ADDRESSES[LOCAL_FIRST]) == "affiches 2", "the home is seen again")
    until(lambda: not sites.get(CLIENT, COPY_OF_LOCAL_FIRST), "the copy is withdrawn")
    come_home(sites)


def test_a_zone_is_left_and_taken_again_without_a_lost_write(sites: Sites, beside: Beside) -> None:
    until(lambda: sites.state(STANDBY, EXCLUSIVE) == "STANDBY", "the standby has a copy")
    begun = boottime()
    assert sites.write(HOME, EXCLUSIVE, "horaires 3")
    moved = sites.appliance(STANDBY, "failover", "evacuate", ZONE)
    assert moved.exit_code == 0, moved.stderr.decode()
    assert json.loads(moved.stdout)["stays"] == {}
    assert {it["service"] for it in json.loads(moved.stdout)["moves"]} == {EXCLUSIVE, LOCAL_FIRST, SHARE, DATABASE}
    until(lambda: sites.get(CLIENT, ADDRESSES[EXCLUSIVE]) == "horaires 3", "it is served elsewhere")
    until(beside.is_served, "so are share and database")
    assert beside.where() == ([STANDBY], [STANDBY])
    assert sites.holds_address(STANDBY, EXCLUSIVE)
    come_home(sites, EXCLUSIVE, DATABASE, LOCAL_FIRST, SHARE)
    until(beside.is_served, "all are home")
    assert beside.where() == ([HOME], [HOME])
    assert_one_writer_at_a_time(sites, EXCLUSIVE, begun)


def test_a_home_that_nobody_hears_stops_though_it_hears_all(sites: Sites) -> None:
    until(lambda: sites.state(STANDBY, EXCLUSIVE) == "STANDBY", "the standby has a copy")
    begun = boottime()
    with sites.unheard(HOME):
        until(lambda: not sites.is_active(HOME, EXCLUSIVE), "it stops by itself", LEASE_SECONDS + 2)
        served = until(lambda: sites.get(CLIENT, ADDRESSES[EXCLUSIVE]) == "horaires 3", "the standby serves it")
        assert in_time(served, SERVED_AGAIN_WITHIN_SECONDS)
    assert_one_writer_at_a_time(sites, EXCLUSIVE, begun)
    come_home(sites)


def test_a_box_that_stood_still_writes_nothing_more_when_it_goes_on(sites: Sites) -> None:
    until(lambda: sites.state(STANDBY, EXCLUSIVE) == "STANDBY", "the standby has a copy")
    with sites.frozen(HOME):
        until(lambda: sites.get(CLIENT, ADDRESSES[EXCLUSIVE]) == "horaires 3", "the standby serves it")
    until(lambda: not sites.is_active(HOME, EXCLUSIVE), "it stops as soon as it goes on", 5)
    # systemd found its program hanging and restarts it, which sees to that.
    until(lambda: not sites.may_write(HOME, EXCLUSIVE), "its files are read-only")
    assert sites.get(CLIENT, ADDRESSES[EXCLUSIVE]) == "horaires 3"
    assert sites.holds_address(STANDBY, EXCLUSIVE)
    come_home(sites)


def test_after_a_power_cut_the_standby_serves_at_the_same_address(sites: Sites, beside: Beside) -> None:
    until(lambda: sites.state(STANDBY, EXCLUSIVE) == "STANDBY", "the standby has a copy")
    node, begun = sites.lab.plan.node(HOME), boottime()
    machine.cut_power(node)
    cut_at = boottime()
    took = until(lambda: sites.get(CLIENT, ADDRESSES[EXCLUSIVE]) == "horaires 3", "it is served again")
    print(f"served again after {took:.1f} s")
    assert in_time(took, SERVED_AGAIN_WITHIN_SECONDS)
    until(lambda: beside.database.rows() == ["Lefèvre"], "so is the database")
    assert not beside.share.serves(STANDBY), "nobody but a person has the share written elsewhere"
    labs.power_on(sites.lab, node)
    labs.wait_for_ssh(sites.lab, (node,))
    until(lambda: sites.get(CLIENT, ADDRESSES[LOCAL_FIRST]) == "affiches 2", "what it alone may write is back")
    assert not sites.is_active(HOME, EXCLUSIVE)
    assert not sites.may_write(HOME, EXCLUSIVE)
    assert_one_writer_at_a_time(sites, EXCLUSIVE, begun, cut_at)
    come_home(sites)
    until(beside.is_served, "all are home")


def test_when_the_program_that_serves_hangs_the_watchdog_ends_the_site_in_time(sites: Sites) -> None:
    until(lambda: sites.state(STANDBY, EXCLUSIVE) == "STANDBY", "the standby has a copy")
    begun = boottime()
    sites.run(HOME, "systemctl", "kill", "--signal=SIGSTOP", "appliance-failover.service")
    until(lambda: not sites.is_active(HOME, EXCLUSIVE), "the watchdog ends it", LEASE_SECONDS + 2)
    assert not sites.holds_address(HOME, EXCLUSIVE)
    until(lambda: sites.get(CLIENT, ADDRESSES[EXCLUSIVE]) == "horaires 3", "the standby serves it")
    assert_one_writer_at_a_time(sites, EXCLUSIVE, begun)
    # What hangs goes on saying that it serves, until systemd ends it some seconds after the takeover.
    for service in (EXCLUSIVE, DATABASE):
        until(lambda it=service: sites.state(HOME, it) == "STANDBY", "systemd started the program again")
    come_home(sites)


def test_a_mirror_is_shown_at_its_standby_too_and_written_at_its_home_alone(sites: Sites) -> None:
    until(lambda: sites.get(CLIENT, COPY_OF_MIRROR) == f"{MIRROR} 1", "the first copy is shown")
    assert not sites.may_write(STANDBY, MIRROR)
    with sites.cut_off(HOME):
        assert sites.write(HOME, MIRROR, f"{MIRROR} 2")
        assert sites.get(HOME, ADDRESSES[MIRROR]) == f"{MIRROR} 2", "its home goes on publishing"
        assert sites.get(CLIENT, COPY_OF_MIRROR) == f"{MIRROR} 1"
    sites.back_up(MIRROR)
    until(lambda: sites.get(CLIENT, COPY_OF_MIRROR) == f"{MIRROR} 2", "the newer copy is shown")


def test_without_a_majority_nothing_is_moved_and_the_same_epoch_goes_on(sites: Sites, beside: Beside) -> None:
    epoch, begun = sites.here(HOME, EXCLUSIVE)["epoch"], boottime()
    with sites.cut_off(OTHER, CLIENT):
        until(lambda: sites.state(HOME, EXCLUSIVE) == "RO_ISOLATED", "it stops by its own clock", LEASE_SECONDS + 5)
        assert not sites.holds_address(HOME, EXCLUSIVE)
        assert sites.write(HOME, LOCAL_FIRST, "affiches 3"), "what is local-first needs no voters"
        assert sites.get(STANDBY, ADDRESSES[LOCAL_FIRST]) == "affiches 3"
        assert not sites.is_active(STANDBY, EXCLUSIVE)
        until(lambda: beside.where() == ([HOME], []), "the share goes on at home, the database nowhere")
        assert reads(beside.share.at_home(), FIRST, FIRST_TEXT)
    until(lambda: sites.get(CLIENT, ADDRESSES[EXCLUSIVE]) == "horaires 3", "it is served again")
    until(beside.is_served, "so are share and database")
    assert beside.where() == ([HOME], [HOME])
    assert sites.here(HOME, EXCLUSIVE)["epoch"] == epoch
    told = [it for it in sites.history(EXCLUSIVE) if it["t_boottime"] > begun]
    assert not [it for it in told if it["event"] == "holder-deleted"], "its lease starts over, and it goes on with that"
    assert {it["node"] for it in told if it["event"] == "writer-start"} == {HOME}


def test_everything_goes_off_and_on_again_in_another_order(sites: Sites, beside: Beside) -> None:
    nodes = sites.lab.plan.nodes
    for node in nodes:
        machine.cut_power(node)
    for node in reversed(nodes):
        labs.power_on(sites.lab, node)
    labs.wait_for_ssh(sites.lab, nodes)
    for service, text in ((EXCLUSIVE, "horaires 3"), (LOCAL_FIRST, "affiches 3"), (MIRROR, f"{MIRROR} 2")):
        until(lambda s=service, it=text: sites.get(CLIENT, ADDRESSES[s]) == it, f"{service} is served")
        assert sites.state(HOME, service) in ("ACTIVE", "ISOLATED_RW") or service == EXCLUSIVE
    until(beside.is_served, "so are share and database")
    come_home(sites)  # what is bound to a lease is where it was asked for first


def test_a_person_promotes_the_standby_and_what_both_wrote_is_kept(sites: Sites) -> None:
    sites.back_up(LOCAL_FIRST)
    until(lambda: sites.state(STANDBY, LOCAL_FIRST) == "STANDBY", "the standby has a copy")
    epoch = sites.here(HOME, LOCAL_FIRST)["epoch"]
    with sites.cut_off(HOME):
        assert sites.write(HOME, LOCAL_FIRST, "affiches of the home")
        act = sites.signed("promote", STANDBY, LOCAL_FIRST)
        promoted = sites.appliance(STANDBY, "failover", "promote", LOCAL_FIRST, "--act", act)
        assert promoted.exit_code == 0, promoted.stderr.decode()
        until(lambda: sites.get(CLIENT, ADDRESSES[LOCAL_FIRST]) == "affiches 3", "the standby serves it")
        assert sites.write(STANDBY, LOCAL_FIRST, "affiches of the standby")
        assert sites.get(HOME, ADDRESSES[LOCAL_FIRST]) == "affiches of the home", "the town hall goes on"
    until(lambda: sites.state(HOME, LOCAL_FIRST) == "STANDBY", "its home stands by")
    assert sites.get(HOME, ADDRESSES[LOCAL_FIRST]) == "affiches of the standby"
    kept = f"/srv/appliance/node/services/{LOCAL_FIRST}/branches/{epoch}/srv/sites/{LOCAL_FIRST}/index.html"
    assert sites.said(HOME, "cat", kept) == "affiches of the home"
    sites.ask_home(LOCAL_FIRST)
    until(lambda: sites.state(HOME, LOCAL_FIRST) == "ACTIVE", "it is home")
    merged = sites.appliance(HOME, "failover", "merge", LOCAL_FIRST)
    assert merged.exit_code == 0, merged.stderr.decode()
    lies_there = sites.said(HOME, "sh", "-c", f"head -n 1 /srv/sites/{LOCAL_FIRST}/*.html")
    assert "affiches of the standby" in lies_there
    assert "affiches of the home" in lies_there
    come_home(sites)  # while its home was cut off, the other one moved by itself


def test_what_a_sick_node_serves_goes_elsewhere_and_it_serves_nothing(sites: Sites, beside: Beside) -> None:
    until(lambda: sites.state(STANDBY, EXCLUSIVE) == "STANDBY", "the standby has a copy")
    begun = boottime()
    act = sites.signed("quarantine", HOME, "any")
    told = sites.appliance(STANDBY, "failover", "quarantine", HOME, "--act", act)
    assert told.exit_code == 0, told.stderr.decode()
    reads = ("runuser", "-u", "appliance-vault", "--", "sh", "-c", "cat /srv/appliance/node/acts/*")
    heard = lambda: b'"quarantine"' in sites.run(OTHER, *reads, check=False).stdout  # noqa: E731
    until(heard, "who serves a vault elsewhere reads of it")
    for service in (EXCLUSIVE, LOCAL_FIRST):
        until(lambda s=service: not sites.is_active(HOME, s), f"{service} is stopped")
        until(lambda s=service: not sites.may_write(HOME, s), f"the files of {service} are read-only", 5)
    until(lambda: sites.holds_address(STANDBY, EXCLUSIVE), "the standby has its address")
    until(lambda: sites.get(CLIENT, ADDRESSES[EXCLUSIVE]) == "horaires 3", "the standby serves it")
    until(lambda: beside.database.rows() == ["Lefèvre"], "the standby serves the database")
    until(lambda: beside.where() == ([], [STANDBY]), "the share waits for a person")
    assert_one_writer_at_a_time(sites, EXCLUSIVE, begun)
