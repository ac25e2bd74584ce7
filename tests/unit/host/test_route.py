"""The way to a machine as `ssh -G` tells it: jump, command, identities."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.host.network.route import Route, read_route

ASKED = Route("10.77.4.10", 2222)


def test_without_settings_the_address_itself_is_the_way() -> None:
    assert read_route("", ASKED, "root") == ASKED


@pytest.mark.parametrize(
    ("settings", "command"),
    [
        ("proxyjump none\nproxycommand none\n", ""),
        ("proxyjump hermitage\n", "ssh -F x -W '[10.64.0.5]:2222' -- hermitage"),
        ("proxyjump one,root@two\n", "ssh -F x -J one -W '[10.64.0.5]:2222' -- root@two"),
        ("proxycommand reach %h %p %r %n 100%%\n", "reach 10.64.0.5 2222 root 10.77.4.10 100%"),
    ],
)
def test_what_opens_the_connection_is_told_where_to(settings: str, command: str) -> None:
    found = read_route(f"hostname 10.64.0.5\n{settings}", ASKED, "root", ("-F", "x"))
    assert (found.address, found.port, found.command) == ("10.64.0.5", 2222, command)


def test_every_identity_is_taken_in_its_order_and_the_agent_unless_it_is_none() -> None:
    found = read_route("identityfile /k/one\nidentityfile /k/two\nidentitiesonly yes\n", ASKED, "root")
    assert found.identities == (Path("/k/one"), Path("/k/two"))
    assert (found.agent, found.identities_only) == (True, True)
    assert read_route("identityagent none\n", ASKED, "root").agent is False
