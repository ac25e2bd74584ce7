"""The territory in a file without mistakes."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.backup.chain.growth import quota_that_lasts
from appliance.config.load import load, parse
from appliance.territory.codec import from_json, to_json
from appliance.territory.domains import conflict
from appliance.territory.model import Schedule, Territory
from appliance.territory.placement import place
from appliance.territory.survival import prove
from appliance.units import DAY, GIB, HOUR

REPOSITORY = Path(__file__).parents[3]
GOOD = REPOSITORY / "tests" / "cases" / "territory" / "good.yml"
EXAMPLE = REPOSITORY / "inventory" / "example"
DEMO = REPOSITORY / "inventory" / "demo"


@pytest.fixture(scope="module")
def good() -> Territory:
    return load(GOOD)


@pytest.fixture(scope="module")
def example() -> Territory:
    return load(EXAMPLE)


def test_a_guess_is_read_as_its_figure_and_is_not_signed(good: Territory) -> None:
    """An older node reads the bundle of a territory with guesses, and a figure that was measured changes no service."""
    text = GOOD.read_text("utf-8").replace("size: 80G", "size: ~80G").replace("day: 1G", 'day: "~ 1 GiB"')
    guessed = parse(text.encode(), name="territory.yml")
    assert guessed.services["docs-attichy"].guessed == ("size", "change_per_day")
    assert good.services["docs-attichy"].guessed == ()
    assert guessed == good
    assert to_json(guessed) == to_json(good)


def test_a_roster_is_read_and_is_not_signed(good: Territory) -> None:
    """An older node reads the bundle of a territory with duty weeks, and a change of weeks needs no new one."""
    text = GOOD.read_text("utf-8").replace("    sites: [tracy]\n", "    sites: [tracy]\n    addressees: [mail]\n")
    weeks = "duty:\n  rotation: [maintenance]\n  since: 2026-W49\n  weeks: {2026-W52: [maintenance]}\n"
    found = parse((text + weeks + "  next_after: 15m\n").encode(), name="territory.yml")
    assert (found.duty.rotation, found.duty.since) == (("maintenance",), "2026-W49")
    assert found.duty.weeks == {"2026-W52": ("maintenance",)}
    assert (found.duty.urgent_after_seconds, found.duty.changes_at) == (15 * 60, "08:00")
    assert found.people["maintenance"].addressees == ("mail",)
    assert found == good
    assert to_json(found) == to_json(good)


def test_a_time_of_day_is_no_sexagesimal_number(good: Territory) -> None:
    assert good.services["docs-attichy"].schedule == Schedule(daily_at="21:30")
    assert good.services["civil-attichy"].schedule == Schedule(every_hours=4)


def test_quantities_become_bytes_and_seconds(good: Territory) -> None:
    service = good.services["docs-attichy"]
    assert (service.size_bytes, service.change_bytes_per_day) == (80 * GIB, GIB)
    assert (service.rpo_seconds, service.rto_seconds, service.lock_seconds) == (DAY, 4 * HOUR, 30 * DAY)
    assert good.zones["flood-aisne"].warning_seconds == 3 * DAY
    assert good.links["4g"].metered


def test_a_quota_that_is_not_given_lasts_at_twice_the_declared_change(good: Territory) -> None:
    given = good.services["docs-attichy"]
    twice = replace(given, change_bytes_per_day=2 * given.change_bytes_per_day)
    assert quota_that_lasts(given) < given.quota_bytes < quota_that_lasts(twice)
    assert given.quota_bytes > 0.9 * quota_that_lasts(twice), "all but what early pruning keeps free of the second half"


def test_a_share_and_the_networks_of_its_pcs_are_in_the_bundle() -> None:
    share = "paths: [/srv/shares/état civil]\n    share: État civil\n    share_groups: [elus]"
    text = GOOD.read_text("utf-8").replace("paths: [/srv/partages]", share)
    text = text.replace("    insee: 60025\n", '    insee: 60025\n    lan: [192.168.1.0/24, "2001:db8::/64"]\n')
    territory = from_json(to_json(parse(text.encode(), name="territory.yml")))
    assert territory.sites["attichy"].lan == ("192.168.1.0/24", "2001:db8::/64")
    service = territory.services["docs-attichy"]
    assert (service.share, service.share_groups) == ("État civil", ("elus",))


def test_what_a_part_says_itself_overrides_the_defaults() -> None:
    text = GOOD.read_text("utf-8").replace("address: 10.0.0.2,", "address: 10.0.0.2, disk: 2T,")
    territory = parse(text.encode(), name="territory.yml")
    assert territory.nodes["tracy"].disk_bytes == 2 * territory.nodes["attichy"].disk_bytes


def test_a_key_loses_its_comment_as_signers_are_compared_without(good: Territory) -> None:
    (key,) = good.people["maintenance"].keys
    assert re.fullmatch(r"ssh-ed25519 \S+", key)


def test_coordinates_survive_as_whole_numbers(good: Territory) -> None:
    assert (good.sites["attichy"].latitude, good.sites["attichy"].longitude) == (49.406, 3.049)


def test_a_byte_order_mark_of_a_windows_editor_is_no_mistake() -> None:
    assert parse(b"\xef\xbb\xbf" + GOOD.read_bytes(), name="territory.yml") == load(GOOD)


def test_the_demo_places_a_copy_at_the_standby_and_at_b_with_c_in_reserve() -> None:
    placement = place(load(DEMO))["docs-a"]
    assert placement.holders == ("hermitage", "commune-b")
    assert placement.spares == ("commune-c",)


def test_every_node_backs_itself_up_unless_the_territory_says_no(good: Territory) -> None:
    assert set(good.services) - {"docs-attichy", "civil-attichy"} == {f"appliance-{node}" for node in good.nodes}
    text = GOOD.read_text("utf-8").replace("  name: vallee", "  name: vallee\n  own_backup: no")
    assert set(parse(text.encode(), name="territory.yml").services) == {"docs-attichy", "civil-attichy"}


def test_the_example_has_the_twenty_communes_and_the_hermitage(example: Territory) -> None:
    communes = [site for site in example.sites.values() if site.insee]
    assert len(communes) == 20
    assert sum(site.population for site in communes) == 16_457
    assert set(example.sites) - {site.name for site in communes} == {"hermitage"}


def test_the_example_outlives_every_zone_and_node_on_copies_that_peers_hold(example: Territory) -> None:
    placements = place(example)
    for verdict in prove(example, placements):
        assert verdict.survives_as_planned, verdict
        if verdict.kind in ("declared", "zone", "node") and verdict.event != "zone power-oise lost":
            assert verdict.survives, verdict


def test_the_example_names_five_voters_in_distinct_failure_domains(example: Territory) -> None:
    voters = [node.name for node in example.nodes.values() if "voter" in node.roles]
    assert len(voters) == 5
    assert not any(conflict(example, one, other) for one in voters for other in voters if one != other)


@pytest.mark.parametrize("place_", [GOOD, EXAMPLE, DEMO], ids=["good", "example", "demo"])
def test_a_territory_comes_back_from_its_json_unchanged(place_: Path) -> None:
    territory = load(place_)
    assert from_json(to_json(territory)) == territory


def test_the_model_and_its_json_load_neither_pydantic_nor_yaml() -> None:
    program = (
        "import sys, appliance.territory.codec, appliance.territory.survival, appliance.territory.change;"
        "print([name for name in ('pydantic', 'yaml', 'click') if name in sys.modules])"
    )
    argv = (sys.executable, "-c", program)
    done = subprocess.run(argv, cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
