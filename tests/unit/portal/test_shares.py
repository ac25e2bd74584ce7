"""The shares that a person sees: those of one's own town hall by group, and all for a person who looks after the
node."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.config.load import load
from appliance.portal.base.person import Person
from appliance.portal.shares import Share, scope_of, shares_of
from appliance.territory.implicit import openable
from appliance.territory.model import Territory
from tests.worlds.demo import INVENTORY

SHARE = Share("docs-a", "Documents", "Commune A", ("srv/shares/docs-a",))


@pytest.fixture(scope="module")
def territory() -> Territory:
    """The hermitage may open a and b and the database; a group enters `council`."""
    plan = load(INVENTORY)
    a = plan.services["docs-a"]
    more = {
        "docs-b": replace(a, name="docs-b", node="commune-b", paths=("/srv/docs-b",)),
        "council": replace(a, name="council", share_groups=("elus",), paths=("/srv/council",)),
        "register": replace(a, name="register", kind="sqlite"),
        "closed": replace(a, name="closed", standbys=("commune-c",)),
    }
    return replace(plan, services={"docs-a": a, **more})


@pytest.mark.parametrize(
    ("groups", "sees"),
    [
        ({}, []),
        ({"commune-c": ()}, []),
        ({"commune-a": ()}, ["docs-a"]),
        ({"commune-a": ("elus",)}, ["council", "docs-a"]),
        ({"commune-a": (), "commune-b": ()}, ["docs-a", "docs-b"]),
        ({"commune-a": ("regie",)}, ["council", "docs-a"]),
        ({"hermitage": ("regie",)}, ["council", "docs-a", "docs-b"]),
        ({"hermitage": ("elus",)}, []),
        ({"commune-b": ("elus",)}, ["docs-b"]),
    ],
    ids=str,
)
def test_at_a_standby_a_person_sees(territory: Territory, groups: dict[str, tuple[str, ...]], sees: list[str]) -> None:
    shares = shares_of(territory, "hermitage", Person("marie", "Marie", groups))
    assert [share.service for share in shares] == sees
    assert set(scope_of(shares).folders) == set(sees)


def test_a_node_offers_what_it_may_open_and_what_has_files(territory: Territory) -> None:
    assert openable(territory, "hermitage") == ("council", "docs-a", "docs-b")
    assert openable(territory, "commune-c") == ("closed",)
    assert openable(territory, "commune-a") == ("closed", "council", "docs-a")


def test_a_path_reads_without_where_shares_lie() -> None:
    assert SHARE.parts("srv/shares/docs-a/Conseil/2026/a.odt") == (
        ("srv/shares/docs-a", "Documents"),
        ("srv/shares/docs-a/Conseil", "Conseil"),
        ("srv/shares/docs-a/Conseil/2026", "2026"),
        ("srv/shares/docs-a/Conseil/2026/a.odt", "a.odt"),
    )
    assert SHARE.shown("srv/shares/docs-a") == "Documents"
    two = replace(SHARE, folders=("srv/a", "srv/b"))
    assert two.shown("srv/b/x") == "Documents, b › x"
