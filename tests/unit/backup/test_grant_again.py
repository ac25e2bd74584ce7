"""A grant that is accepted again, late, or on another node: what is said can be obeyed, and takes nothing away."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.backup.chain.chain import chain_of
from appliance.backup.writer.begin import check_grant, take_first_grant
from appliance.errors import Refused
from appliance.trust.grant import Grant, make_request
from appliance.trust.keys import load_key
from appliance_lab.processes.territory import ProcessTerritory
from tests.worlds.demo import signed_territory

SERVICE = "docs-a"


def granted(made: ProcessTerritory, writer: str, known: int) -> Grant:
    node = made.open(writer)
    asked = {"service": SERVICE, "repository": "0" * 64, "writer": writer, "known_epoch": known, "reason": "a test"}
    return node.bundle.granters.read(made.grant(make_request(load_key(node.signing_key), **asked), writer))  # type: ignore[arg-type]


def test_a_first_grant_that_is_typed_again_after_a_takeover_says_that_nothing_is_to_do(tmp_path: Path) -> None:
    """It proposed `backup resync`, which takes the service from the node that serves it."""
    made = signed_territory(tmp_path / "t")
    node, first, later = made.open("commune-a"), granted(made, "commune-a", 0), granted(made, "hermitage", 2)
    for grant in (first, later):
        chain_of(node, SERVICE).add_grant(grant)
    with pytest.raises(Refused, match="hermitage has since been granted epoch 4 of docs-a") as refused:
        take_first_grant(node, SERVICE, first.document.raw)
    assert refused.value.remedy == "There is nothing to do: the newest grant counts."


def test_a_grant_that_is_typed_on_another_node_names_the_right_one(tmp_path: Path) -> None:
    made = signed_territory(tmp_path / "t")
    with pytest.raises(Refused, match="this grant is for commune-a") as refused:
        check_grant(made.open("hermitage"), SERVICE, granted(made, "commune-a", 0).document.raw)
    assert refused.value.remedy == "Type `appliance backup accept docs-a GRANT` at commune-a."
