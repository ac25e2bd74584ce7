"""The day of a maintenance team: a power cut, a wiped voter, planned moves, a wiped town hall, in the order of life.

The operator types what the software prints, with the words that only a person knows filled in, and nothing else. After
each event every service is served by one node, what people wrote is there, and at the end everything is safe.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from appliance_lab.hosts import lab as labs
from appliance_lab.hosts import machine, needs
from appliance_lab.hosts.provision import provision, sign
from appliance_lab.stories.context import StoryContext
from appliance_lab.stories.left import look
from appliance_lab.stories.promises import LAB_KEPT, LAB_NAME
from appliance_lab.stories.replaced import wipe
from tests.pace import in_time
from tests.stories.conftest import Saw
from tests.stories.year.valley import (
    CLERK,
    DATABASE,
    DOCUMENTS,
    INVENTORY,
    MOVING,
    PASSWORD,
    SHARE,
    THIRD_PLACE,
    TOWN,
    VOTER,
    Valley,
    until,
)

pytestmark = [
    *(pytest.mark.steps, pytest.mark.slow, pytest.mark.root, pytest.mark.xdist_group("lab")),
    pytest.mark.timeout(5400),
]
AWAY_SECONDS_MAX = 1.5
BEFORE, DURING, AFTER = "Lefèvre", "Dupont", "Ça va, Bœuf"


@pytest.fixture(scope="module")
def valley() -> Iterator[Valley]:
    if reason := needs.why_not():
        pytest.skip(f"no lab here: {reason}")
    name = os.environ.get(LAB_NAME, "year")
    made = Valley(StoryContext(name, INVENTORY, print, look(name)))
    yield made
    print("\n".join(made.typed))
    if not os.environ.get(LAB_KEPT) and name in made.context.paths.known_labs():
        labs.down(made.context.paths, name, print)


def test_a_territory_of_its_own_becomes_safe(valley: Valley, saw: Saw) -> None:
    context = valley.context
    lab = labs.up(context.paths, context.name, context.inventory, context.say)
    provision(lab)
    if CLERK not in str(context.json(TOWN, "account", "list")):
        context.did(TOWN, "appliance", "account", "add", CLERK, "--title", "Marie", stdin=PASSWORD.reveal() + b"\n")
    until(lambda: valley.serves(DATABASE) == [TOWN], "the database is served at the town hall")
    valley.make_table()
    assert valley.add_row(BEFORE)
    valley.write_page(BEFORE)
    until(lambda: valley.clerk().refusal(SHARE, "ls") == "", "the clerk comes in")
    valley.clerk().put(SHARE, "avant.txt", BEFORE)
    valley.back_up()
    all_is_served(valley, TOWN)
    all_is_safe(valley)
    saw(f"{len(context.lab.plan.nodes)} hosts, {len(MOVING)} services that move; all is safe and served")


def test_the_power_of_the_town_hall_fails_and_comes_back(valley: Valley, saw: Saw) -> None:
    context = valley.context
    machine.cut_power(context.lab.plan.node(TOWN))
    valley.dark.add(TOWN)
    away = until(lambda: valley.add_row(DURING), "the database is served by the third place")
    valley.promote(DOCUMENTS, THIRD_PLACE)
    all_is_served(valley, THIRD_PLACE)
    valley.clerk().put(SHARE, "pendant.txt", DURING)
    switch_on(valley, TOWN)
    go_home(valley)
    assert DURING in valley.rows()
    assert valley.document("pendant.txt") == DURING
    saw(f"the database was away for {away:.0f} s; all is home, with what was written meanwhile")


def test_a_voter_is_replaced_and_everything_still_moves(valley: Valley, saw: Saw) -> None:
    valley.dark.add(VOTER)
    wipe(valley.context, VOTER)
    valley.meet(VOTER)
    valley.obey_playbook("replace_node", "-e", f"node={VOTER}")
    valley.dark.discard(VOTER)
    for node in (THIRD_PLACE, TOWN):
        for service in MOVING:
            valley.move(service, node)
        all_is_served(valley, node)
    all_is_safe(valley)
    saw("a new machine votes; each service moved to the third place and home again")


def test_a_new_bundle_leaves_a_served_database_alone(valley: Valley, saw: Saw) -> None:
    control = valley.context.control
    file = control.inventory / "territory.yml"
    file.write_text(
        file.read_text().replace("hand_back: never", "hand_back: never\n  contact: la régie, 03 00 00 00 00", 1)
    )
    with valley.asked_all_the_time() as gaps:
        assert sign(valley.context.lab, control)
        valley.obey_playbook("site")
    assert len(gaps) > 10
    assert in_time(max(gaps), AWAY_SECONDS_MAX), sorted(gaps)[-5:]
    saw(f"{len(gaps)} answers while a bundle was signed and played, {max(gaps):.1f} s between two of them at most")


def test_the_town_hall_is_replaced_while_the_third_place_serves(valley: Valley, saw: Saw) -> None:
    valley.back_up()
    all_is_safe(valley)
    valley.dark.add(TOWN)
    wipe(valley.context, TOWN)
    valley.promote(DOCUMENTS, THIRD_PLACE)
    all_is_served(valley, THIRD_PLACE)
    assert valley.add_row(AFTER)
    valley.meet(TOWN)
    valley.obey_playbook("replace_node", "-e", f"node={TOWN}")
    valley.dark.discard(TOWN)
    all_is_served(valley, THIRD_PLACE)
    go_home(valley)
    assert valley.rows()[-1] == AFTER
    assert valley.document("avant.txt") == BEFORE
    saw("the new machine has every file; what was written at the third place came home with it")


def test_in_the_end_nothing_is_proposed_any_more(valley: Valley, saw: Saw) -> None:
    all_is_safe(valley)
    saw(f"every node says ok; {len(valley.typed)} commands were typed since the territory was safe first")


def test_nothing_of_the_valley_is_left(valley: Valley, saw: Saw) -> None:
    if os.environ.get(LAB_KEPT):
        pytest.skip("the lab is kept")
    labs.down(valley.context.paths, valley.context.name, valley.context.say)
    left = look(valley.context.name, valley.context.paths).since(valley.context.before)
    assert not left, left
    saw("no namespace, interface, mount, process or control group is left")


def all_is_served(valley: Valley, node: str) -> None:
    """By `node` alone, with what was there first."""
    for service in MOVING:
        until(lambda it=service: valley.serves(it) == [node], f"{service} is served at {node} alone")
    until(lambda: BEFORE in valley.rows(), "the database answers")
    until(lambda: valley.page() == BEFORE, "the site answers")
    until(lambda: valley.document("avant.txt") == BEFORE, "the share answers")


def all_is_safe(valley: Valley) -> None:
    """After the operator did what every node proposes."""
    valley.settle()
    for service in MOVING:
        assert valley.context.wait_until_safe(service, TOWN)["safety"]["safe"], service


def switch_on(valley: Valley, name: str) -> None:
    lab = valley.context.lab
    labs.power_on(lab, lab.plan.node(name))
    labs.wait_for_ssh(lab, (lab.plan.node(name),))
    valley.dark.discard(name)


def go_home(valley: Valley) -> None:
    for service in MOVING:
        valley.move(service, TOWN)
    all_is_served(valley, TOWN)
