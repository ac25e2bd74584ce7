"""A territory as the JSON that the signed bundle embeds: no floats, the same bytes each time, nothing unknown."""

from __future__ import annotations

import json
from typing import Any

import pytest

from appliance.errors import IntegrityError
from appliance.territory.change import Move, changes
from appliance.territory.codec import from_json, placements_from_json, placements_to_json, to_json
from appliance.territory.model import Placement
from appliance.territory.placement import place
from tests.worlds.small import node, service, territory

HERE = territory([node("a", "z"), node("b"), node("c")], [service("docs", "a", standbys=("c",))])


def no_floats(text: str) -> float:
    raise AssertionError(f"{text} is a float")


def test_the_json_holds_no_floats_as_signed_documents_refuse_them() -> None:
    again = json.loads(json.dumps(to_json(HERE)), parse_float=no_floats)
    assert from_json(again) == HERE


def test_the_order_in_the_file_does_not_change_the_bytes() -> None:
    other = territory([node("c"), node("b"), node("a", "z")], HERE.services.values())
    assert json.dumps(to_json(other)) == json.dumps(to_json(HERE))


def test_a_field_that_an_older_bundle_lacks_has_its_default() -> None:
    values = to_json(HERE)
    del values["services"][0]["key_access"]
    assert from_json(values) == HERE


def changed(section: str, **fields: Any) -> dict[str, Any]:
    values = to_json(HERE)
    values[section][0].update(fields)
    return values


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, 'lacks its field "name"'),
        ({**to_json(HERE), "moon": 1}, 'a field "moon" that this version does not know'),
        ({**to_json(HERE), "nodes": 3}, "nodes is not a list"),
        ({**to_json(HERE), "nodes": [3]}, "nodes is not an object"),
        ({**to_json(HERE), "nodes": to_json(HERE)["nodes"] * 2}, "names something twice"),
        (changed("nodes", port="22"), "port is not of type int"),
        (changed("nodes", port=True), "port is not of type int"),
        (changed("nodes", name="../etc"), '"../etc" is not a name'),
        (changed("nodes", site="moon"), '"moon" is named but not described'),
        (changed("services", standbys=["moon"]), '"moon" is named but not described'),
    ],
)
def test_anything_else_is_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(IntegrityError, match=said.replace(".", r"\.")):
        from_json(values)


def test_placements_come_back_without_their_reasons() -> None:
    placements = place(HERE)
    back = placements_from_json(json.loads(json.dumps(placements_to_json(placements))))
    assert {name: (it.holders, it.spares) for name, it in back.items()} == {
        name: (it.holders, it.spares) for name, it in placements.items()
    }


def test_a_change_names_what_is_seeded_with_its_time_before_what_is_given_up() -> None:
    before = {"docs": Placement("docs", ("c", "a"))}
    after = {"docs": Placement("docs", ("c", "b"))}
    size = HERE.services["docs"].size_bytes
    assert changes(HERE, before, after) == (
        Move("docs", "b", seeds=True, size_bytes=size, seconds=size * 8 / 200_000_000),
        Move("docs", "a", seeds=False),
    )


def test_a_service_that_is_gone_is_given_up_everywhere() -> None:
    assert changes(HERE, {"old": Placement("old", ("b",))}, {}) == (Move("old", "b", seeds=False, left=True),)


def test_the_line_break_at_the_end_of_a_block_that_a_former_version_signed_is_no_part_of_the_text() -> None:
    """It adds no line anywhere, and a node must be able to read the bundle in force on it after an upgrade."""
    values = json.loads(json.dumps(to_json(HERE)))
    values["title"] += "\n"
    assert from_json(values) == HERE
