"""A voter is replaced as the how-to says while services move.

The person at the keyboard obeys what the playbook prints, word for word, and nothing else. Before and after it every
service is served at its standby and at home again. The tests follow each other: each leaves all at home and well.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance.host.command import run
from appliance_lab.checkout import code_folder
from appliance_lab.hosts.playbook import play
from appliance_lab.hosts.provision import COMMAND_SECONDS_MAX, meet
from appliance_lab.stories.context import StoryContext
from appliance_lab.stories.left import look
from appliance_lab.stories.replaced import wipe
from tests.integration.lab.moving.databases import SERVICE as DATABASE
from tests.integration.lab.moving.everything import Beside
from tests.integration.lab.moving.shares import SERVICE as DOCUMENTS
from tests.integration.lab.moving.sites import (
    ADDRESSES,
    CLIENT,
    EXCLUSIVE,
    HOME,
    LOCAL_FIRST,
    MIRROR,
    OTHER,
    STANDBY,
    Sites,
    until,
)
from tests.worlds.summaries import by_the_recovery_sheet, for_the_key_holder

PLAYBOOK = "replace_node"
MOVING = (EXCLUSIVE, LOCAL_FIRST, DOCUMENTS, DATABASE)
RUNS_MAX = 5

pytestmark = [pytest.mark.root, pytest.mark.xdist_group("lab"), pytest.mark.timeout(2400)]


@dataclass(frozen=True)
class Town:
    """The lab of these tests: its sites, the share and database beside them, and its control folder."""

    sites: Sites
    beside: Beside
    context: StoryContext

    def move(self, service: str, node: str) -> None:
        """By the command, typed again while the voters have not heard of everybody yet."""
        until(lambda: self.sites.state(node, service) in ("STANDBY", "ACTIVE"), f"{node} stands by for {service}")
        if self.sites.state(node, service) == "STANDBY":
            asks = ("failover", "move", service, node)
            until(lambda: self.sites.appliance(STANDBY, *asks).exit_code == 0, f"{service} moves to {node}")
        until(lambda: self.sites.state(node, service) == "ACTIVE", f"{node} serves {service}")

    def take_over_and_come_home(self) -> None:
        """Every service that moves, to the standby and back; nothing of it is lost."""
        for node in (STANDBY, HOME):
            for service in MOVING:
                self.move(service, node)
            self.is_served(node)

    def is_served(self, node: str) -> None:
        for service in (EXCLUSIVE, LOCAL_FIRST):
            until(
                lambda it=service: self.sites.get(CLIENT, ADDRESSES[it]) == f"{it} 1", f"{service} is served at {node}"
            )
        until(self.beside.is_served, f"share and database are served at {node}")
        assert self.beside.where() == ([node], [node])

    def replace(self, node: str) -> list[str]:
        """Run the playbook, type what it prints, and run it again until nothing is left; return what was typed."""
        lab, typed = self.context.lab, list[str]()
        assert meet(lab, self.context.control, lab.plan.node(node))
        for _ in range(RUNS_MAX):
            played = play(self.context.control, PLAYBOOK, "-e", f"node={node}")
            assert played.exit_code == 0, played.tail()
            for place, line in by_the_recovery_sheet(played):
                self.sites.run(place, *line.split(), stdin=self.context.control.paper.read_bytes())
            lines = for_the_key_holder(played)
            if not lines:
                return typed
            for line in lines:
                self.type(line)
            typed += lines
        raise AssertionError(f"after {RUNS_MAX} runs it still asks for {lines}")

    def type(self, line: str) -> None:
        """Type as the holder of the territory's key does, who looked at a grant and confirms it."""
        said_yes = " --yes" if line.startswith("appliance territory grant") else ""
        words = line.replace("--key KEY", f"--key {self.context.control.territory_key}") + said_yes
        done = run(
            ("sh", "-c", f'PATH="{code_folder()}/bin:$PATH"; {words}'),
            timeout_seconds=COMMAND_SECONDS_MAX,
            cwd=code_folder(),
        )
        assert done.exit_code in (0, 1), f"{line}: {done.tail(10)}"

    def save_all(self) -> None:
        for service in (*MOVING, MIRROR, f"appliance-{HOME}"):
            self.sites.back_up(service)
        for service in MOVING:
            until(lambda it=service: self.sites.state(STANDBY, it) == "STANDBY", f"the standby has {service}")


def voters(sites: Sites, node: str) -> list[str]:
    """Return the voters that the voter at `node` knows; none while no majority answers."""
    shown = sites.appliance(node, "voter", "show")
    return [it["node"] for it in json.loads(shown.stdout)["voters"]] if shown.exit_code == 0 else []


def disbelieved(sites: Sites) -> list[str]:
    """Return the voters' lines on grants that they do not believe, as a person reads them."""
    shown = sites.run(STANDBY, "appliance", "failover", "status", check=False).stdout.decode()
    return [line for line in shown.splitlines() if "accepts no grant" in line or "has no grant yet" in line]


@pytest.fixture(scope="module")
def town(sites: Sites, beside: Beside) -> Town:
    lab = sites.lab
    return Town(sites, beside, StoryContext(lab.plan.lab, Path(lab.state.inventory), print, look(lab.plan.lab)))


def test_every_service_moves_and_comes_home_before_anything_is_lost(town: Town) -> None:
    town.take_over_and_come_home()


def test_a_replaced_voter_that_holds_copies_leaves_every_service_grantable(town: Town) -> None:
    town.save_all()
    wipe(town.context, OTHER)
    typed = town.replace(OTHER)
    assert any("territory sign" in line and "--previous" in line for line in typed), typed
    until(lambda: len(voters(town.sites, OTHER)) == 3, "the new machine votes")
    assert disbelieved(town.sites) == []
    town.take_over_and_come_home()
    for service in MOVING:
        town.sites.back_up(service)
        assert town.context.wait_until_safe(service, HOME)["safety"]["safe"]


@pytest.mark.timeout(5400)
def test_the_home_of_what_moves_is_replaced_while_its_standby_serves_and_takes_everything_home(town: Town) -> None:
    """A share that has files, a database, sites: what failover lays and what the restore brings never meet."""
    town.save_all()
    wipe(town.context, HOME)
    for service in (LOCAL_FIRST, DOCUMENTS):  # its home may be cut off: a person says that it is not
        act = town.sites.signed("promote", STANDBY, service)
        promoted = town.sites.appliance(STANDBY, "failover", "promote", service, "--act", act)
        assert promoted.exit_code == 0, promoted.stderr.decode()
    until(lambda: all(town.sites.state(STANDBY, it) == "ACTIVE" for it in MOVING), "the standby took over")
    town.is_served(STANDBY)
    town.replace(HOME)
    town.is_served(STANDBY)
    for service in MOVING:
        town.move(service, HOME)
    town.is_served(HOME)
    until(lambda: town.sites.get(CLIENT, ADDRESSES[MIRROR]) == f"{MIRROR} 1", "the mirror is served at home")
    assert disbelieved(town.sites) == []
    for service in (*MOVING, MIRROR):
        town.sites.back_up(service)
        assert town.context.wait_until_safe(service, HOME)["safety"]["safe"]
