"""A PostgreSQL database that moves between hosts: a planned move under load, a home cut off, a power cut, a branch.

`etat-civil` is at home at commune-a and the hermitage stands by. The tests follow each other: each leaves it at home.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import pytest

from appliance_lab.hosts import lab as labs
from appliance_lab.hosts import machine
from tests.integration.lab.moving.databases import ADDRESS, SERVICE, Databases, unit_of
from tests.integration.lab.moving.sites import (
    HOME,
    LEASE_SECONDS,
    STANDBY,
    assert_one_writer_at_a_time,
    boottime,
    until,
)
from tests.pace import in_time

# Lease and grant as for a site; then a new cluster is made and the dump loaded, on a machine of two busy cores.
SERVED_AGAIN_WITHIN_SECONDS = 90.0

pytestmark = [pytest.mark.root, pytest.mark.xdist_group("lab"), pytest.mark.timeout(1200)]


@dataclass
class Load:
    """Somebody who goes on writing, and tries again what was refused; `told` are those that the database took."""

    databases: Databases
    told: list[str] = field(default_factory=list)
    longest_wait_seconds: float = 0.0
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        thread = threading.Thread(target=self._write)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _write(self) -> None:
        number, since = 0, boottime()
        while not self._over.is_set():
            name = f"load-{number}"
            if self.databases.ask(f"INSERT INTO acte (nom) VALUES ('{name}')").exit_code == 0:
                self.told.append(name)
                self.longest_wait_seconds = max(self.longest_wait_seconds, boottime() - since)
                since = boottime()
            number += 1


def test_it_is_at_one_node_at_its_own_address_by_password_and_nothing_else_of_postgresql_runs(
    databases: Databases,
) -> None:
    assert databases.rows() == ["Lefèvre"]
    assert [databases.serves(node) for node in (HOME, STANDBY)] == [True, False]
    assert [databases.has_address(node) for node in (HOME, STANDBY)] == [True, False]
    for role in ("postgres", "appliance"):
        assert b"Peer authentication failed" in databases.ask("SELECT 1", role).stderr
    listening = [line.split()[3] for line in databases.said(HOME, "ss", "-Hltn").splitlines()]
    assert [it for it in listening if it.endswith(":5432")] == [f"{ADDRESS}:5432"]
    for node in (HOME, STANDBY):
        active = databases.run(node, "systemctl", "is-active", "postgresql.service", check=False)
        assert active.stdout.decode().strip() == "inactive"


def test_what_a_dump_has_done_by_its_superuser_finds_nothing_of_other_databases(databases: Databases) -> None:
    databases.run(HOME, "systemd-run", "--uid=postgres", "--unit=another-cluster", "sleep", "600")
    other = f"/proc/{databases.said(HOME, 'systemctl', 'show', '--value', '--property=MainPID', 'another-cluster')}"
    assert databases.said(HOME, "ls", "-d", other).strip() == other
    looks = f"ls -d /srv/*/* /var/lib/postgresql/* {other} {other}/root; ls /run | grep -vx systemd"
    seen = f"CREATE TEMP TABLE seen (line text); COPY seen FROM PROGRAM '({looks}) 2>/dev/null'; TABLE seen"
    found = databases.as_maintenance(HOME, seen).splitlines()
    assert found == [f"/srv/databases/{SERVICE}", f"appliance-database-{SERVICE}"]
    databases.run(HOME, "systemctl", "stop", "another-cluster")


@pytest.mark.parametrize("node", [STANDBY, HOME])
def test_a_drill_fills_a_cluster_that_is_thrown_away_and_leaves_the_served_one_alone(
    databases: Databases, node: str
) -> None:
    code, done = databases.drill(node)
    assert (code, done["wrong"], done["told"]) == (0, [], [])
    assert (done["rehearsed"], done["tables"], done["rows"]) == (True, 1, 1)
    assert databases.left_by_drills(node) == ["outcome"]
    assert databases.failed_units(node) == []
    # The word is left before the unit that leaves it has ended.
    runs = ("sh", "-c", "ps -u postgres -o pid= || true")
    until(lambda: not databases.said(STANDBY, *runs), "nothing of it runs on")
    assert databases.rows() == ["Lefèvre"]


def test_a_takeover_ends_a_drill_and_no_drill_ends_a_takeover(databases: Databases) -> None:
    """Each waits in the midst of its work, so that the other one meets it there."""
    databases.add("Desnos")
    databases.back_up(SERVICE)
    until(lambda: databases.state(STANDBY, SERVICE) == "STANDBY", "the standby has a copy")
    begun = boottime()
    with ThreadPoolExecutor(1) as beside, ExitStack() as until_served:
        drilling = beside.submit(databases.drill, STANDBY)
        with databases.waiting("rehearse"):
            until_served.enter_context(databases.cut_off(HOME))
            with databases.waiting("fill"):
                code, done = drilling.result()
                assert (code, done["wrong"], done["rehearsed"]) == (1, [], False), done
                begins = ("systemctl", "restart", "--no-block", "--job-mode=fail", unit_of("rehearse"))
                assert b"is destructive" in databases.run(STANDBY, *begins, check=False).stderr
                assert (databases.works("fill"), databases.works("rehearse")) == (True, False)
        until(lambda: databases.rows() == ["Lefèvre", "Desnos"], "the standby serves the last dump")
        until(lambda: databases.has_statistics(STANDBY), "it gets its statistics while it serves")
        assert databases.left_by_drills(STANDBY) == ["outcome"]
    assert databases.ask("DELETE FROM acte WHERE nom = 'Desnos'").exit_code == 0
    assert_one_writer_at_a_time(databases, SERVICE, begun)
    databases.come_home()
    databases.leave_branch()


def test_a_planned_move_loses_nothing_that_was_acknowledged_and_comes_home_again(databases: Databases) -> None:
    begun, load = boottime(), Load(databases)
    with load.at_work():
        until(lambda: len(load.told) > 3, "somebody writes")
        databases.move("move", SERVICE, STANDBY)
        until(lambda: databases.serves(STANDBY) and databases.has_address(STANDBY), "it is served elsewhere")
        before = len(load.told)
        until(lambda: len(load.told) > before + 3, "writes go on there")
        assert not databases.serves(HOME)
        assert not databases.may_be_written(HOME), "where it is not served nothing is written"
        until(lambda: databases.state(HOME, SERVICE) == "STANDBY", "its home stands by")
        databases.move("move", SERVICE, HOME)
        until(lambda: databases.state(HOME, SERVICE) == "ACTIVE", "it is home")
        before = len(load.told)
        until(lambda: len(load.told) > before + 3, "writes go on at home")
    print(f"{len(load.told)} writes acknowledged; the longest wait for one was {load.longest_wait_seconds:.1f} s")
    assert set(load.told) <= set(databases.rows())
    assert_one_writer_at_a_time(databases, SERVICE, begun)
    assert databases.ask("DELETE FROM acte WHERE nom LIKE 'load-%'").exit_code == 0
    databases.come_home()


def test_a_home_that_is_cut_off_stops_by_its_own_clock_and_keeps_what_only_it_has(databases: Databases) -> None:
    databases.add("Éluard")
    databases.back_up(SERVICE)
    databases.add("Verlaine")
    begun = boottime()
    with databases.cut_off(HOME):
        stopped = until(lambda: not databases.serves(HOME), "it stops by itself", LEASE_SECONDS + 2)
        assert not databases.has_address(HOME)
        until(lambda: not databases.may_be_written(HOME), "its cluster is read-only", 5)
        served = until(lambda: databases.rows() == ["Lefèvre", "Éluard"], "the standby serves the last dump")
        print(f"served again {stopped + served:.1f} s after the cut")
        assert in_time(stopped + served, SERVED_AGAIN_WITHIN_SECONDS)
        databases.add("Zola")
    until(lambda: "Verlaine" in databases.kept(HOME), "its home has kept what only it has")
    assert "Zola" not in databases.kept(HOME)
    assert_one_writer_at_a_time(databases, SERVICE, begun)
    databases.come_home()
    assert databases.rows() == ["Lefèvre", "Éluard", "Zola"]


def test_two_histories_are_not_merged_and_a_person_leaves_the_branch(databases: Databases) -> None:
    refused = databases.appliance(HOME, "failover", "merge", SERVICE)
    assert refused.exit_code == 8
    assert "never merged" in refused.stderr.decode()
    databases.leave_branch()


def test_after_a_power_cut_the_standby_serves_the_last_dump_and_the_rest_is_found_on_its_home(
    databases: Databases,
) -> None:
    databases.add("Rimbaud")
    databases.back_up(SERVICE)
    databases.add("Nerval")
    node, begun = databases.lab.plan.node(HOME), boottime()
    machine.cut_power(node)
    cut_at = boottime()
    saved = ["Lefèvre", "Éluard", "Zola", "Rimbaud"]
    took = until(lambda: databases.rows() == saved, "the standby serves the last dump")
    print(f"served again {took:.1f} s after the power cut")
    assert in_time(took, SERVED_AGAIN_WITHIN_SECONDS)
    databases.add("Hugo")
    labs.power_on(databases.lab, node)
    labs.wait_for_ssh(databases.lab, (node,))
    until(lambda: "Nerval" in databases.kept(HOME), "its home has kept what only it has: it came to rest in a copy")
    assert not databases.serves(HOME)
    assert not databases.may_be_written(HOME)
    assert_one_writer_at_a_time(databases, SERVICE, begun, cut_at)
    databases.come_home()
    assert databases.rows() == [*saved, "Hugo"]


def test_when_the_program_that_serves_hangs_the_watchdog_ends_the_database_in_time(databases: Databases) -> None:
    begun = boottime()
    databases.run(HOME, "systemctl", "kill", "--signal=SIGSTOP", "appliance-failover.service")
    until(lambda: not databases.serves(HOME), "the watchdog ends it", LEASE_SECONDS + 2)
    assert not databases.has_address(HOME)
    until(lambda: "Hugo" in databases.rows(), "the standby serves it")
    assert_one_writer_at_a_time(databases, SERVICE, begun)
    # What hangs goes on saying that it serves, until systemd ends it some seconds after the takeover.
    until(lambda: databases.state(HOME, SERVICE) == "STANDBY", "systemd started the program again")
    databases.come_home()
