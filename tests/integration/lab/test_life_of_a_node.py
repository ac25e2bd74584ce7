"""Nodes come and go on real hosts: one leaves when it may, one is replaced, all are upgraded (see the story `lab`)."""

from __future__ import annotations

import pytest

from appliance_lab.hosts.control_machine import ControlMachine
from appliance_lab.hosts.playbook import play
from appliance_lab.hosts.provision import grant, meet, sign
from appliance_lab.stories.context import BLIND, ORIGIN, SERVICE, StoryContext
from appliance_lab.stories.replaced import replaced, wipe
from appliance_lab.stories.upgraded import upgraded

pytestmark = [pytest.mark.root, pytest.mark.xdist_group("lab"), pytest.mark.timeout(1200)]


def write(control: ControlMachine, line: str, by: str) -> None:
    file = control.inventory / "territory.yml"
    text = file.read_text()
    assert text.count(line) == 1, line
    file.write_text(text.replace(line, by))


def offer_nothing(control: ControlMachine) -> None:
    """Write the line on a node that will leave, as people do."""
    write(control, "offered: 8G", "offered: 0")


def vote_elsewhere(control: ControlMachine) -> None:
    write(control, "offered: 8G, roles: [voter]", "offered: 8G")
    write(control, "mesh: 10.64.0.2, offered: 5G", "mesh: 10.64.0.2, offered: 5G, roles: [voter]")


def help_elsewhere(control: ControlMachine) -> None:
    """Another two open disks at boot; in a lab there are none to open."""
    file = control.inventory / "group_vars/all.yml"
    text = file.read_text()
    assert text.count(f', "{BLIND}"') == 1
    file.write_text(text.replace(f', "{BLIND}"', ""))


@pytest.mark.slow
def test_a_machine_in_the_place_of_a_lost_one_has_every_file_of_it(context: StoryContext) -> None:
    assert "are identical" in replaced(context)


@pytest.mark.slow
def test_an_upgrade_stops_at_the_first_node_that_is_not_well(context: StoryContext) -> None:
    assert "it stopped at" in upgraded(context)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ssh", "mesh", "tls"])
def test_a_node_goes_on_with_other_keys(context: StoryContext, kind: str) -> None:
    rotate = ("rotate_keys", "-e", f"kind={kind}", "-e", f"node={ORIGIN}")
    made = play(context.control, *rotate)
    assert made.exit_code == 0, made.tail()
    assert "waits for its keys to be signed" in made.text
    assert sign(context.lab, context.control)
    taken = play(context.control, *rotate)
    assert taken.exit_code == 0, taken.tail()
    context.back_up(SERVICE)
    assert context.wait_until_safe(SERVICE, ORIGIN)["safety"]["safe"]


@pytest.mark.slow
def test_a_node_goes_only_when_nobody_counts_on_it_any_more(context: StoryContext) -> None:
    lab, control = context.lab, context.control
    leave = ("remove_node", "-e", f"node={BLIND}")
    refused = play(control, *leave)
    assert (refused.exit_code != 0, f"{BLIND} is a voter" in " ".join(refused.text.split())) == (True, True)

    vote_elsewhere(control)
    assert sign(lab, control)
    refused = play(control, *leave)
    assert refused.exit_code != 0
    assert f"{BLIND} helps other nodes open their disks" in " ".join(refused.text.split())

    help_elsewhere(control)
    refused = play(control, *leave)
    said = " ".join(refused.text.split())
    assert refused.exit_code != 0
    assert f"{BLIND} has to stay for now" in said
    assert f"{SERVICE}: {BLIND} must hold it" in said
    assert context.did(BLIND, "systemctl", "is-active", "appliance-agent.service").strip() == "active"

    offer_nothing(control)
    assert sign(lab, control)
    left = play(control, *leave)
    assert left.exit_code == 0, left.tail()
    assert "has left" in left.text
    programs = ("agent", "broker", "failover", "portal")
    for unit in (
        *(f"appliance-{it}.service" for it in programs),
        "appliance-vault.socket",
        "smbd.service",
        "tangd.socket",
    ):
        assert context.refused(BLIND, "systemctl", "is-active", unit, ">&2") == "inactive"
    assert context.wait_until_safe(SERVICE, ORIGIN)["safety"]["safe"]


@pytest.mark.slow
def test_a_new_commune_joins(context: StoryContext) -> None:
    """After the test above. Who left goes out of the file; another commune gets its place in the lab, a bare box."""
    lab, control, joining = context.lab, context.control, "commune-d"
    file = control.inventory / "territory.yml"
    with_it = (
        file.read_text().replace("offered: 0", "offered: 8G").replace(BLIND, joining).replace("Commune B", "Commune D")
    )
    begin, end = (with_it.index(f"  {site}:\n    title") for site in (joining, "commune-c"))
    file.write_text(with_it[:begin] + with_it[end:])
    assert sign(lab, control)
    gone = play(control, "site")
    assert gone.exit_code == 0, gone.tail()

    wipe(context, BLIND)
    file.write_text(with_it)
    # Without -e fingerprint: the addresses of a lab exist in its own network only, where this meets it.
    assert meet(lab, control, lab.plan.node(BLIND), joining)
    join = ("add_node", "-e", f"node={joining}")
    for answer in (sign, grant):
        played = play(control, *join)
        assert played.exit_code == 0, played.tail()
        assert answer(lab, control), f"nothing waits for {answer.__name__}: {played.tail()}"
    joined = play(control, *join)
    assert joined.exit_code == 0, joined.tail()
    own = f"appliance-{joining}"
    context.did(BLIND, "appliance", "backup", "run", own)
    assert context.wait_until_safe(own, BLIND)["safety"]["safe"]
