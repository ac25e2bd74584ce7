"""Every route with made-up values: no answer is an error of ours, and nothing of the machine shows."""

from __future__ import annotations

import os
import random
import re
from urllib.parse import quote_from_bytes

import pytest
from starlette.routing import Route

from appliance.clock import SystemClock
from appliance.portal.build import make_web_app, routes
from appliance.portal.lookup import Lookup
from tests.integration.portal.world import NODE, Visitor, World

TRIES = 8
ODD = (
    b"",
    b"0",
    b"-1",
    b"..",
    b"../../etc/passwd",
    b"\x00",
    b"\xff\xfe",
    b"%s%n",
    b"'\"--",
    b"<script>",
    b"\r\nX: y",
    b"x" * 3000,
    "é’ \u202e".encode(),
    b"docs-a",
    b"docs-b",
    b"monday",
    b"2026-11-24",
    b"99999999999999999999",
)
FIELDS = ("q", "chemin", "jour", "version", "partage", "page", "quoi", "action", "avant", "apres", "retour", "code")
LEAKS = re.compile(r"Traceback|/nodes/|catalogue\.db|sqlite", re.IGNORECASE)


def every_route(world: World) -> list[Route]:
    lookup = Lookup(world.territory.nodes[NODE].layout)
    return routes(make_web_app(lookup, SystemClock()), lookup)


@pytest.mark.parametrize("name", ["marie", ""])
def test_no_made_up_request_is_an_error_of_ours(world: World, name: str) -> None:
    drawn = random.Random(os.environ.get("APPLIANCE_TEST_SEED", "1"))
    visitor = world.visit(name)
    token = visitor.token("/" if name else "/connexion")
    for route in every_route(world):
        if route.path == "/deconnexion":
            continue  # the session is needed for what follows
        for _ in range(TRIES):
            _ask(visitor, route, drawn, token, world.address)


def _ask(visitor: Visitor, route: Route, drawn: random.Random, token: str, origin: str) -> None:
    path = re.sub(r"{\w+}", lambda _: quote_from_bytes(drawn.choice(ODD), safe="") or "x", route.path)
    pairs = [(drawn.choice(FIELDS), quote_from_bytes(drawn.choice(ODD))) for _ in range(drawn.randrange(5))]
    fields = "&".join(f"{name}={value}" for name, value in pairs)
    if "POST" in (route.methods or ()):
        headers = {"Origin": origin, "Content-Type": "application/x-www-form-urlencoded"}
        answer = visitor.post(path, content=f"jeton={token}&{fields}", headers=headers)
    else:
        answer = visitor.get(f"{path}?{fields}")
    asked = f"{route.methods} {path}?{fields}"
    assert answer.status_code < 500, asked
    assert not LEAKS.search(answer.text), asked
    assert "x" not in answer.headers, asked
