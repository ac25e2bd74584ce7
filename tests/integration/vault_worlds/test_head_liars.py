"""A peer whose head shows what is true of something else: it counts as one that did not answer, and stops nobody."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from appliance.backup.chain.chain import chain_of
from appliance.backup.chain.resync import fetch_for_resync
from appliance.backup.peers import conversation as peers
from appliance.backup.peers.conversation import Lines
from appliance.backup.peers.exchange import exchange
from appliance.backup.peers.fetch import survey_all
from appliance.backup.vault import give, session
from appliance.backup.vault.call import Call
from appliance.backup.vault.maintenance.repair import repair
from appliance.backup.vault.maintenance.scrub import scrub
from appliance.backup.writer.begin import history, known_epochs
from appliance.errors import Refused
from appliance.failover.takeover_worker import _show, present
from appliance.trust.grant import Grant
from tests.worlds.vaults import HOLDER, ORIGIN, OUTSIDER, SERVICE, SPARE, STANDBY, VaultWorld
from tests.worlds.vaults_in_process import World

type Twist = Callable[[Mapping[str, Any]], Mapping[str, Any]]
OTHER = "docs-d"
JUNK: Mapping[str, Mapping[str, Any]] = {
    "a name that is none": {"held": ["x"]},
    "a number in the place of names": {"held": 7},
    "no name": {"held": [None]},
    "an age without end": {"age_seconds": math.inf},
    "a fork with a line break": {"forks": ["2.1\nroot: all is well"]},
}
SAYS = f"the grant is for {OTHER}, not {SERVICE}."


@pytest.fixture
def world(begun: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A generation at both holders, of which the blind one begins to lie: it shows a true grant of another service."""
    begun.run(ORIGIN)
    foreign = begun.vaults.grant(OUTSIDER, known_epoch=62, service=OTHER)
    monkeypatch.setitem(session.VERBS, "head", lying(lambda frame: with_grant(frame, foreign)))  # type: ignore[arg-type]
    return begun


def with_grant(frame: Mapping[str, Any], grant: Grant) -> dict[str, Any]:
    return {"grants": [*frame["grants"], grant.document.raw.decode()]}


class Twisting:
    """The channel of a vault that says `twist(frame)` in the place of its head."""

    def __init__(self, call: Call, twist: Twist) -> None:
        self._channel, self._twist = call.channel, twist

    def write_frame(self, frame: Mapping[str, Any]) -> None:
        self._channel.write_frame({**frame, **self._twist(frame)})

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)


def lying(twist: Twist) -> Callable[[Call], None]:
    """In the place of `give.head`: only the blind holder lies."""

    def head(call: Call) -> None:
        lies = call.node.name == HOLDER and call.terms.name == SERVICE
        give.head(replace(call, channel=Twisting(call, twist)) if lies else call)  # type: ignore[arg-type]

    return head


def test_a_grant_of_another_service_stops_no_run_of_the_writer(world: World) -> None:
    sealed, pushed = world.run(ORIGIN)
    held = {it.peer: world.vaults.holding(it.peer).holds(sealed.header.id) for it in pushed}
    assert held == {STANDBY: True, HOLDER: False}
    (error,) = [it.error for it in pushed if it.error]
    assert error.what == SAYS


def test_a_grant_of_another_service_makes_no_history_and_no_epoch(world: World) -> None:
    node = world.vaults.open(ORIGIN)
    found = survey_all(node, SERVICE)
    assert found.silent[HOLDER] == SAYS
    assert known_epochs(node, SERVICE, found) == {2}
    assert history(node, SERVICE) == {STANDBY: 2}


def test_a_grant_of_another_service_refuses_no_takeover(world: World) -> None:
    world.adopt(STANDBY, world.fetch_to_continue(STANDBY))
    node = world.vaults.open(STANDBY)
    assert chain_of(node, SERVICE).grant().epoch == 4
    with Lines(node) as lines:
        assert present(node, SERVICE, "", lines)["newer"] == 0


def test_a_grant_of_another_service_is_told_by_the_exchange(world: World) -> None:
    findings = exchange(world.vaults.open(STANDBY), SERVICE)
    assert findings.silent[HOLDER] == SAYS
    assert findings.new_epochs == ()


def test_a_takeover_is_fenced_by_what_vaults_show_and_an_empty_spare_takes_its_grant(
    vaults: VaultWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A spare that held nothing was sent nothing and counted; the former writer could go on there."""
    world = World(vaults, down=frozenset({HOLDER}))
    monkeypatch.setattr(peers, "Line", world.line)
    world.begin()
    world.run(ORIGIN)
    grant = world.vaults.grant(STANDBY, known_epoch=2)
    with Lines(world.vaults.open(STANDBY)) as lines, lines.to(SPARE) as conversation:
        assert _show(conversation, SERVICE, grant) == 0
    assert world.vaults.holding(SPARE).epochs() == (4,)
    with pytest.raises(Refused, match="epoch 2 of docs-a ended"):
        world.vaults.put(world.vaults.seal(world.vaults.grant(), {"config": b"late"}), world.vaults.grant(), at=SPARE)
    newer = world.vaults.grant(STANDBY, known_epoch=4)
    monkeypatch.setitem(session.VERBS, "put", lambda call: call.channel.write_frame({"kept": 0}))  # type: ignore[arg-type]
    refused = pytest.raises(Refused, match="commune-c does not show the grant of epoch 6")
    with Lines(world.vaults.open(STANDBY)) as lines, refused, lines.to(SPARE) as conversation:
        _show(conversation, SERVICE, newer)


@pytest.mark.parametrize("junk", JUNK.values(), ids=list(JUNK))
def test_a_head_that_is_none_stops_neither_a_takeover_nor_the_exchange(
    world: World, monkeypatch: pytest.MonkeyPatch, junk: Mapping[str, Any]
) -> None:
    monkeypatch.setitem(session.VERBS, "head", lying(lambda _: junk))  # type: ignore[arg-type]
    node = world.vaults.open(SPARE)
    sealed, found = fetch_for_resync(node, SERVICE, "2.1")
    assert (str(sealed.header.id), sorted(found.silent)) == ("2.1", [HOLDER])
    assert HOLDER in exchange(world.vaults.open(STANDBY), SERVICE).silent


@pytest.mark.parametrize("junk", [{"held": 7}, {"damaged": ["x"]}, {"held": [None]}])
def test_a_head_that_is_none_stops_no_repair(
    world: World, monkeypatch: pytest.MonkeyPatch, junk: Mapping[str, Any]
) -> None:
    monkeypatch.setitem(session.VERBS, "head", lying(lambda _: junk))  # type: ignore[arg-type]
    node = world.vaults.open(STANDBY)
    blob = next(path for path in (node.layout.vault / SERVICE / "pool").glob("*/*") if path.stat().st_size)
    blob.chmod(0o640)
    blob.write_bytes(bytes(blob.stat().st_size))
    scrub(node, SERVICE)
    assert "did not answer with names of generations" in repair(node, SERVICE).failed[HOLDER]
