"""The names of nodes in /etc/hosts: our block, and not a letter of anybody else's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.provision import hosts
from tests.worlds.small import service
from tests.worlds.towns import bundle, town

BLOCK = hosts.block(
    bundle((town("b", 2), town("a", 1, mesh=False), town("c", 3, mesh=False, address="c.example.org"))).territory
)
LOCAL = "127.0.0.1 localhost\n"


def test_each_node_is_named_at_the_address_where_it_is_reached() -> None:
    assert BLOCK.splitlines()[1:-1] == ["10.1.1.10 a a.test.internal", "10.90.0.2 b b.test.internal"]


def test_a_service_that_moves_is_named_at_its_own_address_unless_a_node_has_that_name() -> None:
    plan = bundle((town("a", 1),)).territory
    named = {
        "horaires": replace(service("horaires", "a"), address="10.64.8.1"),
        "docs-a": service("docs-a", "a"),
        "a": replace(service("a", "a"), address="10.64.8.2"),
    }
    lines = hosts.block(replace(plan, services=named)).splitlines()[1:-1]
    assert lines == ["10.90.0.1 a a.test.internal", "10.64.8.1 horaires horaires.test.internal"]


@pytest.mark.parametrize(
    ("present", "wanted"),
    [
        ("", BLOCK),
        (LOCAL, LOCAL + BLOCK),
        (LOCAL.rstrip(), LOCAL + BLOCK),
        (LOCAL + BLOCK, LOCAL + BLOCK),
        (BLOCK + LOCAL + f"{hosts.MARK} of a former version\n10.9.9.9 a\n{hosts.END}\n", BLOCK + LOCAL),
        (LOCAL + hosts.BEGIN + "\n10.0.0.9 old\n" + hosts.END + "\n::1 after\n", LOCAL + BLOCK + "::1 after\n"),
        (LOCAL + hosts.BEGIN + "\n10.0.0.9 old\n", LOCAL + BLOCK),
    ],
)
def test_only_the_block_is_replaced(present: str, wanted: str) -> None:
    assert hosts.merged(present, BLOCK) == wanted
    assert hosts.merged(wanted, BLOCK) == wanted
