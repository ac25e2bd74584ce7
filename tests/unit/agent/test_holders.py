"""To whom addresses of services lead."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from appliance.agent.holders import to_lead
from appliance.host.served import Moving

MOVING = {
    "horaires": Moving(
        "site", "10.64.8.1", 80, "/srv/sites/horaires", "", "", False, frozenset({"commune-a", "hermitage"})
    )
}


@pytest.mark.parametrize(
    ("writer", "led", "wanted"),
    [
        ("hermitage", {}, {"horaires": "hermitage"}),
        ("hermitage", {"horaires": "commune-a"}, {"horaires": "hermitage"}),
        ("hermitage", {"horaires": "hermitage"}, {}),
        ("commune-c", {}, {}),
        ("", {}, {}),
    ],
    ids=["at first", "after a takeover", "as it is", "who is no candidate", "nobody was granted it"],
)
def test_an_address_leads_to_whom_the_newest_grant_names(
    writer: str, led: dict[str, str], wanted: dict[str, str]
) -> None:
    grants: dict[str, Any] = {"docs-a": SimpleNamespace(writer="commune-a")}
    if writer:
        grants["horaires"] = SimpleNamespace(writer=writer)
    assert to_lead(MOVING, grants, led) == wanted
