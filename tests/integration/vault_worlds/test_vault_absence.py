"""A node that nobody has seen for 14 days: who says so, who hears it, and what a spare then takes without any act."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from appliance.backup.peers.sight import load_sight, note, unseen_nodes
from appliance.backup.vault.store import RECEIPT
from appliance.errors import Refused
from appliance.trust.absence import make_absence
from appliance.trust.keys import load_key
from appliance.units import DAY, HOUR
from tests.integration.desk.desk import (
    HOLDER,
    ORIGIN,
    SERVICE,
    SPARE,
    STANDBY,
    STRANGER,
    TIME,
    Desk,
    Generation,
    assert_whole,
    head,
    push,
)


def look(desk: Desk, at: str, *answering: str) -> frozenset[str]:
    """What an exchange at `at` notes, when only these answer, with what they show in their heads."""
    answers: dict[str, Sequence[str]] = {}
    for peer in answering:
        with desk.session(peer, at) as channel:
            answers[peer] = head(channel)["absences"]
    return note(desk.open(at), SERVICE, answers)


def relay(desk: Desk, generation: Generation, statements: Sequence[str], caller: str = STANDBY) -> None:
    """What `caller` holds goes to the spare, with these statements and no act."""
    node, holding = desk.open(caller), desk.holding(caller)
    details = {
        "grants": [holding.grant(epoch).decode() for epoch in holding.epochs()],
        "acts": [],
        "absences": list(statements),
        "receipt": holding.read(generation.name, RECEIPT).decode(),
        "age_seconds": node.ageing.now(),
    }
    with desk.session(SPARE, caller) as channel:
        push(channel, generation, verb="put-relayed", details=details)


@pytest.fixture
def held(desk: Desk) -> Generation:
    """One generation at both holders; everybody has seen everybody."""
    grant = desk.grant()
    made = desk.chain(grant, 1)[0]
    for holder in (STANDBY, HOLDER):
        desk.put(made, grant, at=holder)
    for at in (ORIGIN, STANDBY):
        look(desk, at, *({ORIGIN, STANDBY, HOLDER} - {at}))
    return made


def test_after_fourteen_days_two_others_agree_and_a_spare_takes_copies_without_any_act(
    desk: Desk, held: Generation
) -> None:
    desk.advance(14 * DAY - HOUR)
    assert look(desk, ORIGIN, STANDBY) == look(desk, STANDBY, ORIGIN) == frozenset()
    assert load_sight(desk.open(STANDBY), SERVICE).statements == ()
    desk.advance(HOUR)
    assert look(desk, ORIGIN, STANDBY) == frozenset(), "the standby has not said it yet"
    with pytest.raises(Refused, match="only a spare"):
        relay(desk, held, load_sight(desk.open(ORIGIN), SERVICE).statements)
    assert look(desk, STANDBY, ORIGIN) == {HOLDER}
    assert look(desk, ORIGIN, STANDBY) == {HOLDER}
    assert [it["absent"] for it in desk.open(STANDBY).journal.events("unseen")] == [HOLDER]
    relay(desk, held, load_sight(desk.open(STANDBY), SERVICE).statements)
    assert assert_whole(desk, SPARE) == [held.name]


def test_who_comes_back_is_seen_again_and_the_others_take_their_word_back(desk: Desk, held: Generation) -> None:
    desk.advance(20 * DAY)
    look(desk, ORIGIN, STANDBY)
    assert look(desk, STANDBY, ORIGIN) == {HOLDER}
    stale = load_sight(desk.open(STANDBY), SERVICE).statements
    assert look(desk, STANDBY, ORIGIN, HOLDER) == frozenset()
    assert [it["absent"] for it in desk.open(STANDBY).journal.events("seen-again")] == [HOLDER]
    assert look(desk, ORIGIN, STANDBY) == frozenset(), "the standby no longer shows its statement"
    desk.advance(3 * DAY)
    with pytest.raises(Refused, match="only a spare"):
        relay(desk, held, stale)


def test_who_pushes_is_alive_though_its_own_door_is_closed(desk: Desk, held: Generation) -> None:
    desk.advance(10 * DAY)
    grant = desk.grant()
    second = desk.chain(grant, 2)[1]
    for holder in (STANDBY, HOLDER):
        desk.put(second, grant, at=holder, before=desk.chain(grant, 1))
    desk.advance(10 * DAY)
    look(desk, HOLDER)
    assert [it["absent"] for it in desk.open(HOLDER).journal.events("unseen")] == []
    look(desk, STANDBY, HOLDER)
    assert [it["absent"] for it in desk.open(STANDBY).journal.events("unseen")] == []
    desk.advance(4 * DAY)
    look(desk, HOLDER)
    look(desk, STANDBY, HOLDER)
    assert unseen_nodes(desk.open(STANDBY), SERVICE) == frozenset(), "the blind holder has watched for 4 days only"
    assert [it["absent"] for it in desk.open(STANDBY).journal.events("unseen")] == [ORIGIN]


def test_a_forged_clock_and_a_strangers_word_make_nobody_absent(desk: Desk, held: Generation) -> None:
    desk.clocks[STANDBY].jump_wall(30 * DAY)
    look(desk, STANDBY, ORIGIN)
    assert load_sight(desk.open(STANDBY), SERVICE).statements == (), "only the ageing clock counts"
    desk.clocks[STANDBY].jump_wall(-30 * DAY)
    desk.advance(15 * DAY)
    look(desk, STANDBY, ORIGIN)
    own = load_sight(desk.open(STANDBY), SERVICE).statements
    words = {"absent": HOLDER, "service": SERVICE, "since": TIME, "last_seen_age": int(20 * DAY)}
    stranger = load_key(desk.open(STRANGER).signing_key)
    time = own[0].split('"time": "')[1][:20]
    forged = [
        make_absence(stranger, observer=observer, time=time, **words).decode()  # type: ignore[arg-type]
        for observer in (STRANGER, ORIGIN)
    ]
    for statements in (own, (*own, *own), (*own, *forged, "x", "")):
        with pytest.raises(Refused, match="only a spare"):
            relay(desk, held, statements)
    assert desk.holding(SPARE).stored() == ()


def test_what_a_peer_makes_up_and_what_is_damaged_here_disturb_nothing(desk: Desk, held: Generation) -> None:
    desk.advance(20 * DAY)
    (desk.holding(STANDBY).path(held.name, RECEIPT)).write_bytes(b"rotten")
    assert note(desk.open(STANDBY), SERVICE, {ORIGIN: ("\ud800", "", "{}\n", "x" * 100_000)}) == frozenset()
    (own,) = load_sight(desk.open(STANDBY), SERVICE).statements
    assert f'"absent": "{HOLDER}"' in own


def test_a_lost_memory_and_a_lost_age_begin_the_fourteen_days_anew(desk: Desk, held: Generation) -> None:
    desk.advance(20 * DAY)
    layout = desk.layout(STANDBY)
    (layout.root / "sight" / SERVICE).write_text("{")
    look(desk, STANDBY, ORIGIN)
    assert load_sight(desk.open(STANDBY), SERVICE).statements == ()
    desk.advance(15 * DAY)
    look(desk, STANDBY, ORIGIN)
    assert len(load_sight(desk.open(STANDBY), SERVICE).statements) == 1
    layout.ageing.unlink()
    look(desk, STANDBY, ORIGIN)
    assert load_sight(desk.open(STANDBY), SERVICE).statements == ()
