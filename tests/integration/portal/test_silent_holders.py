"""Peers that take a connection and never say a word: pages answer and say why it takes long, and nothing is lost."""

from __future__ import annotations

import contextlib
import html
import re
import socket
from collections.abc import Iterator

import pytest

from appliance.backup.vault.replicas import replica_of
from tests.integration.portal.world import NODE, Visitor, World
from tests.waiting import wait_until
from tests.worlds.demo import LOOPBACK

SERVICE = "docs-b"
SLOW = "Quand une commune voisine ne répond pas, cela prend quelques minutes."


@pytest.fixture
def paul(world: World) -> Visitor:
    """A person of commune-b, whose standby is commune-a."""
    return world.visit("paul")


@pytest.fixture
def silent(world: World) -> Iterator[None]:
    """All other nodes take connections and never answer."""
    others = [node for name, node in world.territory.nodes.items() if name != NODE]
    with contextlib.ExitStack() as sockets:
        for node in others:
            node.stop()
            sockets.enter_context(socket.create_server((LOOPBACK, node.port)))
        yield
    for node in others:
        node.start_sshd()


def ask(paul: Visitor) -> str:
    """Order the only file of the share; where it stands."""
    found = re.search(r"/fichier/docs-b\?chemin=[^\"]+", paul.get("/retrouver?q=secret").text)
    assert found
    wish = re.search(r'name="quoi" value="(docs-b [^"]+)"', paul.get(found[0]).text)
    assert wish
    return str(paul.submit("/demandes", quoi=html.unescape(wish[1]), action="copy").headers["location"])


def says(visitor: Visitor, address: str) -> str:
    return html.unescape(visitor.get(address).text)


@pytest.mark.usefixtures("silent")
def test_a_standby_shows_and_restores_what_it_holds_although_nobody_answers_it(world: World, paul: Visitor) -> None:
    order = ask(paul)
    wait_until(lambda: SLOW in says(paul, order), "the page says what may take long")
    marie = world.visit("marie")
    for visitor, page in ((paul, "/"), (paul, "/retrouver?q=secret"), (marie, "/retrouver?q=budget"), (marie, "/")):
        assert visitor.get(page).status_code == 200
    assert SLOW in says(paul, order), "all this while it waited for them"
    wait_until(lambda: "C'est prêt" in says(paul, order), "it goes on with what is held here")
    assert paul.get(f"{order}/fichier").text == "rien pour A\n"


def test_where_only_silent_peers_hold_it_that_is_said_and_it_comes_once_they_answer(
    world: World, paul: Visitor, request: pytest.FixtureRequest
) -> None:
    holding = replica_of(world.territory.open(NODE), SERVICE).root
    aside = holding.with_name("aside")
    with contextlib.ExitStack() as back:
        request.getfixturevalue("silent")
        holding.rename(aside)
        back.callback(aside.rename, holding)
        order = ask(paul)
        wait_until(lambda: "Une commune voisine ne répond pas. Réessayez" in says(paul, order), "it says so")
        assert paul.get("/retrouver?q=secret").status_code == 200
    # The page shows that it failed a moment before the worker lets go of it.
    wait_until(lambda: paul.submit(f"{order}/reprendre").status_code == 303, "it can be asked for again")
    wait_until(lambda: "C'est prêt" in says(paul, order), "it comes")
    assert paul.get(f"{order}/fichier").text == "rien pour A\n"
