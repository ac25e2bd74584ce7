"""A person who signs an act sees what to type next, and where."""

from __future__ import annotations

import pytest

from appliance.cli.act import _next


@pytest.mark.parametrize(
    ("what", "subject", "service", "told"),
    [
        ("promote", "hermitage", "docs-a", "Next, at hermitage: appliance failover promote docs-a --act my.act"),
        ("promote", "hermitage", "any", "Next, at hermitage: appliance failover promote SERVICE --act my.act"),
        ("quarantine", "commune-a", "any", "at any other node: appliance failover quarantine commune-a --act my.act"),
        ("lost", "commune-a", "any", "Next, on every node that must obey: appliance act accept my.act"),
    ],
)
def test_it_is_what_obeys_such_an_act(what: str, subject: str, service: str, told: str) -> None:
    assert told in _next(what, subject, service, "my.act")
