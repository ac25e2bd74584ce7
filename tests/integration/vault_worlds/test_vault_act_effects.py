"""Effects of operators' signed acts at a vault: a quarantine, a raised quota, the side of a fork that continues."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from appliance.backup.chain.history import History
from appliance.backup.peers.alarms import alarm_of
from appliance.backup.peers.conversation import Head, read_head
from appliance.backup.peers.exchange import Findings, _forks
from appliance.backup.peers.fetch import survey
from appliance.backup.peers.replicate import ReplicaHead
from appliance.backup.vault import receive
from appliance.backup.vault.maintenance.act_effects import losing_sides, passed_over
from appliance.backup.vault.replicas import replica_of
from appliance.errors import ApplianceError, NoSpace, Refused
from appliance.node.acts import keep_act
from appliance.trust.grant import Grant
from appliance.units import DAY, MIB
from tests.worlds.vaults import (
    HOLDER,
    ORIGIN,
    SERVICE,
    STANDBY,
    Generation,
    VaultWorld,
    ask,
    head,
    push,
)

BIG = b"x" * MIB


def accept(vaults: VaultWorld, raw: bytes, at: str = HOLDER) -> None:
    node = vaults.open(at)
    keep_act(node.layout.acts, raw, node.bundle)


def told(vaults: VaultWorld, at: str = HOLDER) -> Head:
    node = vaults.open(ORIGIN)
    with vaults.session(at, ORIGIN) as channel:
        return read_head(head(channel), node.bundle.member(at), SERVICE, node.bundle.granters)


# A quarantine


def test_nothing_is_taken_of_a_node_in_quarantine_until_its_end(vaults: VaultWorld) -> None:
    grant = vaults.grant()
    first, second = vaults.chain(grant, 2)
    vaults.put(first, grant)
    accept(vaults, vaults.act("quarantine", ORIGIN, days=3))
    with pytest.raises(Refused, match=f"{ORIGIN} is in quarantine until .*, by keeper"):
        vaults.put(second)
    assert told(vaults).held == (first.name,), "what is held stays, and may be asked for"
    vaults.advance(3 * DAY)
    vaults.put(second)


def test_a_quarantine_that_was_taken_back_keeps_nobody_out(vaults: VaultWorld) -> None:
    grant = vaults.grant()
    first, second = vaults.chain(grant, 2)
    vaults.put(first, grant)
    accept(vaults, vaults.act("quarantine", ORIGIN, days=14))
    with pytest.raises(Refused, match=f"{ORIGIN} is in quarantine"):
        vaults.put(second)
    vaults.advance(60)
    accept(vaults, vaults.act("quarantine", ORIGIN, days=0))
    vaults.put(second)


@pytest.mark.parametrize(("subject", "service"), [(STANDBY, SERVICE), (ORIGIN, "docs-d"), (SERVICE, SERVICE)])
def test_a_quarantine_of_another_node_or_service_is_not_this_ones(
    vaults: VaultWorld, subject: str, service: str
) -> None:
    accept(vaults, vaults.act("quarantine", subject, service=service))
    grant = vaults.grant()
    vaults.put(vaults.chain(grant, 1)[0], grant)


def test_a_relay_of_a_holder_in_quarantine_is_refused_too(vaults: VaultWorld) -> None:
    accept(vaults, vaults.act("quarantine", STANDBY))
    grant = vaults.grant()
    with vaults.session(HOLDER, STANDBY) as channel, pytest.raises(Refused, match=f"{STANDBY} is in quarantine"):
        push(channel, vaults.chain(grant, 1)[0], [grant], verb="put-relayed")


# A quota


@pytest.mark.parametrize(("subject", "helps"), [(SERVICE, True), (HOLDER, True), (STANDBY, False), (ORIGIN, False)])
def test_a_quota_is_raised_until_the_act_ends(
    vaults: VaultWorld, subject: str, helps: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receive, "FREE_BYTES_MIN", 0)
    vaults.sign(quota_bytes=MIB)
    grant = vaults.grant()
    made = vaults.seal(grant, {"config": b"config", "data/0/1": BIG})
    with pytest.raises(NoSpace, match="quota"):
        vaults.put(made, grant)
    accept(vaults, vaults.act("quota", subject, days=2, bytes=10 * MIB))
    if not helps:
        with pytest.raises(NoSpace, match="quota"):
            vaults.put(made, grant)
        return
    vaults.put(made, grant)
    vaults.advance(2 * DAY)
    with pytest.raises(NoSpace, match="quota"):
        vaults.put(vaults.seal(grant, {"config": b"config", "data/0/2": BIG[::-1] + b"y"}, made))
    assert told(vaults).held == (made.name,), "what was taken under the act stays"


def test_an_act_lowers_no_quota(vaults: VaultWorld) -> None:
    accept(vaults, vaults.act("quota", SERVICE, bytes=1))
    grant = vaults.grant()
    vaults.put(vaults.chain(grant, 1)[0], grant)


# The end of a fork


@dataclass(frozen=True)
class Forked:
    """Two sides from the second generation on; the clone's is one longer. Both are held."""

    grant: Grant
    first: Generation
    right: Generation
    clone: tuple[Generation, Generation]


@pytest.fixture
def forked(vaults: VaultWorld) -> Forked:
    grant = vaults.grant()
    first, right = vaults.chain(grant, 2)
    clone = vaults.seal(grant, {"config": b"a clone's"}, first)
    after = vaults.seal(grant, {"config": b"a clone's next"}, clone)
    vaults.put(first, grant)
    for generation in (right, clone, after):
        vaults.put(generation)
    return Forked(grant, first, right, (clone, after))


def choose(vaults: VaultWorld, generation: Generation, **words: float) -> None:
    accept(vaults, vaults.act("continue", SERVICE, generation=generation.name, **words))  # type: ignore[arg-type]


def test_a_fork_ends_with_the_act_that_names_the_one_that_continues(vaults: VaultWorld, forked: Forked) -> None:
    assert told(vaults).forks == ("2.2",)
    choose(vaults, forked.right)
    said = told(vaults)
    assert said.forks == ()
    assert [tip.id for tip in said.tips] == [forked.right.header.id]
    assert said.newest
    assert said.newest.id == forked.right.header.id
    assert {it.name for it in forked.clone} < set(said.held), "the other side is kept, and can be asked for by name"
    with vaults.session(HOLDER, ORIGIN) as channel:
        ask(channel, "get-own")
        assert channel.read_frame()["generation"] == forked.right.name


def test_the_side_that_continues_goes_on_and_the_other_does_not(vaults: VaultWorld, forked: Forked) -> None:
    choose(vaults, forked.right)
    with pytest.raises(Refused, match="other side"):
        vaults.put(vaults.seal(forked.grant, {"config": b"a clone's third"}, forked.clone[1]))
    third = vaults.seal(forked.grant, {"config": b"right"}, forked.right)
    vaults.put(third)
    newest = told(vaults).newest
    assert newest
    assert newest.id == third.header.id


def test_a_new_side_before_the_named_one_is_refused_at_once(vaults: VaultWorld) -> None:
    grant = vaults.grant()
    first, right = vaults.chain(grant, 2)
    vaults.put(first, grant)
    vaults.put(right)
    choose(vaults, right)
    with pytest.raises(Refused, match="other side"):
        vaults.put(vaults.seal(grant, {"config": b"a clone's"}, first))


def test_the_fork_does_not_open_again_when_the_act_ends(vaults: VaultWorld, forked: Forked) -> None:
    choose(vaults, forked.right, days=1)
    vaults.advance(2 * DAY)
    assert told(vaults).forks == ()


def test_an_ended_fork_costs_no_reading_of_the_years_since(
    vaults: VaultWorld, forked: Forked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The act is obeyed for ever, and each question to a vault asks what it passes over."""
    choose(vaults, forked.right)
    later = vaults.chain(forked.grant, 20, forked.right)
    vaults.holding(HOLDER).add_headers((it.header.id, it.header.document.raw) for it in later)
    monkeypatch.setattr(History, "parts", lambda *_: pytest.fail("an old document was read"))
    assert passed_over(vaults.open(HOLDER), SERVICE) == {it.name for it in forked.clone}


def test_the_act_that_starts_last_decides(vaults: VaultWorld, forked: Forked) -> None:
    now = vaults.clocks[HOLDER].now()
    choose(vaults, forked.right, start=now - DAY)
    choose(vaults, forked.clone[0], start=now)
    newest = told(vaults).newest
    assert newest
    assert newest.id == forked.clone[1].header.id


def test_an_ended_fork_alarms_nobody_and_the_own_newest_is_the_right_one(vaults: VaultWorld, forked: Forked) -> None:
    choose(vaults, forked.right)
    node = vaults.open(HOLDER)
    assert alarm_of(node, Findings(SERVICE, (), {}, "", {}, {}, {}, {}, {}, (), (), ())) == ()
    assert survey(node, SERVICE, ()).own == forked.right.header.id


def test_peers_that_have_not_heard_of_the_act_report_no_fork_through_us(vaults: VaultWorld, forked: Forked) -> None:
    for generation in (forked.first, forked.right, *forked.clone):
        vaults.put(generation, forked.grant, at=STANDBY)
    node = vaults.open(HOLDER)
    there = ReplicaHead(told(vaults, STANDBY), frozenset(), frozenset())
    stored = replica_of(node, SERVICE).stored()
    over = frozenset(it.name for it in forked.clone)
    assert _forks([there], stored, frozenset()) == ("2.2",)
    assert _forks([there], stored, over) == ()


A, B, C = "00002.0000000002.aaaa", "00002.0000000002.bbbb", "00002.0000000003.cccc"
A, B, C = (f"{name[:17]}{name[17:] * 4}" for name in (A, B, C))


@pytest.mark.parametrize(
    ("before", "chosen", "losing"),
    [
        ({A: "", B: "", C: "b" * 64}, {}, set()),
        ({A: "", B: "", C: "b" * 64}, {A[:16]: A}, {B, C}),
        ({A: "", B: "", C: "b" * 64}, {A[:16]: B}, {A}),
        ({B: "", C: "b" * 64}, {A[:16]: A}, set()),
    ],
    ids=["no act", "the shorter side", "the longer side", "one not known here decides nothing yet"],
)
def test_sides(before: dict[str, str], chosen: dict[str, str], losing: set[str]) -> None:
    assert losing_sides(before, chosen) == losing


@pytest.mark.parametrize(
    ("act", "details"),
    [
        ("continue", {}),
        ("continue", {"generation": "2.7"}),
        ("continue", {"generation": "../../etc/passwd"}),
        ("quota", {}),
        ("quota", {"bytes": 0}),
        ("quota", {"bytes": "300G"}),
        ("quota", {"daily": 0}),
        ("quota", {"bytes": 1, "daily": "40G"}),
    ],
)
def test_an_act_that_does_not_say_what_it_must_is_not_signed(
    vaults: VaultWorld, act: str, details: dict[str, str | int]
) -> None:
    with pytest.raises(ApplianceError, match="missing"):
        vaults.act(act, SERVICE, **details)  # type: ignore[arg-type]
