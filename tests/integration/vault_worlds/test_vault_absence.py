"""A node that nobody has seen for 14 days: who says so, who hears it, and what a spare then takes without any act."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from appliance.backup.peers.last_seen import absent_nodes, load_last_seen, record
from appliance.backup.vault.store import RECEIPT
from appliance.errors import Refused
from appliance.trust.absence import make_absence
from appliance.trust.keys import load_key
from appliance.units import DAY, HOUR
from tests.worlds.vaults import (
    HOLDER,
    ORIGIN,
    OUTSIDER,
    SERVICE,
    SPARE,
    STANDBY,
    TIME,
    Generation,
    VaultWorld,
    assert_whole,
    head,
    push,
)


def look(vaults: VaultWorld, at: str, *answering: str) -> frozenset[str]:
    """Return what an exchange at `at` notes, when only these answer, with what they show in their heads."""
    answers: dict[str, Sequence[str]] = {}
    for peer in answering:
        with vaults.session(peer, at) as channel:
            answers[peer] = head(channel)["absences"]
    return record(vaults.open(at), SERVICE, answers)


def relay(vaults: VaultWorld, generation: Generation, statements: Sequence[str], caller: str = STANDBY) -> None:
    """Hand on what `caller` holds to the spare, with these statements and no act."""
    node, replica = vaults.open(caller), vaults.holding(caller)
    details = {
        "grants": [replica.grant(epoch).decode() for epoch in replica.epochs()],
        "acts": [],
        "absences": list(statements),
        "receipt": replica.read(generation.name, RECEIPT).decode(),
        "age_seconds": node.ageing.now(),
    }
    with vaults.session(SPARE, caller) as channel:
        push(channel, generation, verb="put-relayed", details=details)


@pytest.fixture
def held(vaults: VaultWorld) -> Generation:
    """One generation at both holders; everybody has seen everybody."""
    grant = vaults.grant()
    made = vaults.chain(grant, 1)[0]
    for holder in (STANDBY, HOLDER):
        vaults.put(made, grant, at=holder)
    for at in (ORIGIN, STANDBY):
        look(vaults, at, *({ORIGIN, STANDBY, HOLDER} - {at}))
    return made


def test_after_fourteen_days_two_others_agree_and_a_spare_takes_copies_without_any_act(
    vaults: VaultWorld, held: Generation
) -> None:
    vaults.advance(14 * DAY - HOUR)
    assert look(vaults, ORIGIN, STANDBY) == look(vaults, STANDBY, ORIGIN) == frozenset()
    assert load_last_seen(vaults.open(STANDBY), SERVICE).statements == ()
    vaults.advance(HOUR)
    assert look(vaults, ORIGIN, STANDBY) == frozenset(), "the standby has not said it yet"
    with pytest.raises(Refused, match="only a spare"):
        relay(vaults, held, load_last_seen(vaults.open(ORIGIN), SERVICE).statements)
    assert look(vaults, STANDBY, ORIGIN) == {HOLDER}
    assert look(vaults, ORIGIN, STANDBY) == {HOLDER}
    assert [it["absent"] for it in vaults.open(STANDBY).journal.events("unseen")] == [HOLDER]
    relay(vaults, held, load_last_seen(vaults.open(STANDBY), SERVICE).statements)
    assert assert_whole(vaults, SPARE) == [held.name]


def test_who_comes_back_is_seen_again_and_the_others_take_their_word_back(vaults: VaultWorld, held: Generation) -> None:
    vaults.advance(20 * DAY)
    look(vaults, ORIGIN, STANDBY)
    assert look(vaults, STANDBY, ORIGIN) == {HOLDER}
    stale = load_last_seen(vaults.open(STANDBY), SERVICE).statements
    assert look(vaults, STANDBY, ORIGIN, HOLDER) == frozenset()
    assert [it["absent"] for it in vaults.open(STANDBY).journal.events("seen-again")] == [HOLDER]
    assert look(vaults, ORIGIN, STANDBY) == frozenset(), "the standby no longer shows its statement"
    vaults.advance(3 * DAY)
    with pytest.raises(Refused, match="only a spare"):
        relay(vaults, held, stale)


def test_who_pushes_is_alive_though_its_own_door_is_closed(vaults: VaultWorld, held: Generation) -> None:
    vaults.advance(10 * DAY)
    grant = vaults.grant()
    second = vaults.chain(grant, 2)[1]
    for holder in (STANDBY, HOLDER):
        vaults.put(second, grant, at=holder, before=vaults.chain(grant, 1))
    vaults.advance(10 * DAY)
    look(vaults, HOLDER)
    assert [it["absent"] for it in vaults.open(HOLDER).journal.events("unseen")] == []
    look(vaults, STANDBY, HOLDER)
    assert [it["absent"] for it in vaults.open(STANDBY).journal.events("unseen")] == []
    vaults.advance(4 * DAY)
    look(vaults, HOLDER)
    look(vaults, STANDBY, HOLDER)
    assert absent_nodes(vaults.open(STANDBY), SERVICE) == frozenset(), "the blind holder has watched for 4 days only"
    assert [it["absent"] for it in vaults.open(STANDBY).journal.events("unseen")] == [ORIGIN]


def test_a_forged_clock_and_a_strangers_word_make_nobody_absent(vaults: VaultWorld, held: Generation) -> None:
    vaults.clocks[STANDBY].jump_wall(30 * DAY)
    look(vaults, STANDBY, ORIGIN)
    assert load_last_seen(vaults.open(STANDBY), SERVICE).statements == (), "only the ageing clock counts"
    vaults.clocks[STANDBY].jump_wall(-30 * DAY)
    vaults.advance(15 * DAY)
    look(vaults, STANDBY, ORIGIN)
    own = load_last_seen(vaults.open(STANDBY), SERVICE).statements
    words = {"absent": HOLDER, "service": SERVICE, "since": TIME, "last_seen_age": int(20 * DAY)}
    outsider = load_key(vaults.open(OUTSIDER).signing_key)
    time = own[0].split('"time": "')[1][:20]
    forged = [
        make_absence(outsider, observer=observer, time=time, **words).decode()  # type: ignore[arg-type]
        for observer in (OUTSIDER, ORIGIN)
    ]
    for statements in (own, (*own, *own), (*own, *forged, "x", "")):
        with pytest.raises(Refused, match="only a spare"):
            relay(vaults, held, statements)
    assert vaults.holding(SPARE).stored() == ()


def test_what_a_peer_makes_up_and_what_is_damaged_here_disturb_nothing(vaults: VaultWorld, held: Generation) -> None:
    vaults.advance(20 * DAY)
    (vaults.holding(STANDBY).path(held.name, RECEIPT)).write_bytes(b"rotten")
    assert record(vaults.open(STANDBY), SERVICE, {ORIGIN: ("", "{}\n", "x" * 100_000)}) == frozenset()
    (own,) = load_last_seen(vaults.open(STANDBY), SERVICE).statements
    assert f'"absent": "{HOLDER}"' in own


def test_a_lost_memory_and_a_lost_age_begin_the_fourteen_days_anew(vaults: VaultWorld, held: Generation) -> None:
    vaults.advance(20 * DAY)
    layout = vaults.layout(STANDBY)
    (layout.root / "sight" / SERVICE).write_text("{")
    look(vaults, STANDBY, ORIGIN)
    assert load_last_seen(vaults.open(STANDBY), SERVICE).statements == ()
    vaults.advance(15 * DAY)
    look(vaults, STANDBY, ORIGIN)
    assert len(load_last_seen(vaults.open(STANDBY), SERVICE).statements) == 1
    layout.ageing.unlink()
    look(vaults, STANDBY, ORIGIN)
    assert load_last_seen(vaults.open(STANDBY), SERVICE).statements == ()
