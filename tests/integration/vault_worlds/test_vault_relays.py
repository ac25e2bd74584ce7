"""Generations that another replica node hands on: whether it may, how old they count, and that one let go is not
brought back."""

from __future__ import annotations

from typing import Any

import pytest

from appliance.backup.vault.maintenance.pruning import prune_replica
from appliance.backup.vault.store import BUCKET, LIST, RECEIPT, RELAY
from appliance.clock import utc_text
from appliance.errors import ApplianceError, Forbidden, IntegrityError, Refused
from appliance.trust import act as acts_of_operators
from appliance.trust.keys import load_key
from appliance.trust.receipt import make_receipt, read_receipt
from appliance.units import DAY
from tests.integration.vault_worlds.relay_lies import BAD_RECEIPTS, DAYS, LIES
from tests.worlds.vaults import (
    HOLDER,
    ORIGIN,
    SERVICE,
    SPARE,
    STANDBY,
    TIME,
    Generation,
    VaultWorld,
    ask,
    assert_whole,
    head,
    push,
)


def _relay(
    vaults: VaultWorld, generation: Generation, to: str, *acts: bytes, caller: str = HOLDER, **details: Any
) -> str:
    """Hand on what `caller` holds, as `replicate` does."""
    node, replica = vaults.open(caller), vaults.holding(caller)
    said: dict[str, Any] = {
        "grants": [replica.grant(epoch).decode() for epoch in replica.epochs()],
        "acts": [act.decode() for act in acts],
        "receipt": replica.read(generation.name, RECEIPT).decode(),
        "age_seconds": node.ageing.now(),
    }
    with vaults.session(to, caller) as channel:
        return push(channel, generation, verb="put-relayed", details={**said, **details})


@pytest.fixture
def held(vaults: VaultWorld) -> Generation:
    """One generation at commune-b, which took it from the origin 40 days ago."""
    grant = vaults.grant()
    made = vaults.chain(grant, 1)[0]
    vaults.put(made, grant)
    vaults.advance(40 * DAY)
    return made


def test_a_holder_takes_what_it_lacks_and_its_lock_starts_anew(vaults: VaultWorld, held: Generation) -> None:
    raw = _relay(vaults, held, STANDBY)
    node, replica = vaults.open(STANDBY), vaults.holding(STANDBY)
    receipt = read_receipt(raw.encode(), node.bundle.member(STANDBY).keys.sign)
    assert receipt.generation == held.header.id
    assert node.ageing.now() - receipt.age_seconds == 0
    assert int(replica.read(held.name, BUCKET)) == node.ageing.now() - 40 * DAY
    relayed = read_receipt(replica.read(held.name, RELAY), node.bundle.member(HOLDER).keys.sign)
    assert relayed.holder == HOLDER
    assert assert_whole(vaults, STANDBY) == [held.name]


def test_a_spare_takes_nothing_while_nobody_is_lost(vaults: VaultWorld, held: Generation) -> None:
    with pytest.raises(Refused, match="commune-c is only a spare for docs-a"):
        _relay(vaults, held, SPARE)
    assert vaults.holding(SPARE).stored() == ()


@pytest.mark.parametrize("lost", [ORIGIN, STANDBY])
def test_a_spare_takes_everything_once_a_signed_act_says_that_one_is_lost(
    vaults: VaultWorld, held: Generation, lost: str
) -> None:
    _relay(vaults, held, SPARE, vaults.act("lost", lost))
    assert assert_whole(vaults, SPARE) == [held.name]


def test_headers_go_ahead_to_a_spare_only_for_a_signed_act_too(vaults: VaultWorld, held: Generation) -> None:
    grants = [vaults.holding(HOLDER).grant(2).decode()]
    with vaults.session(SPARE, HOLDER) as channel:
        ask(channel, "put-relayed", grants=grants, headers=[held.text], list_bytes=0)
        with pytest.raises(Refused, match="is only a spare"):
            channel.read_frame()
    act = vaults.act("lost", ORIGIN).decode()
    with vaults.session(SPARE, HOLDER) as channel:
        ask(channel, "put-relayed", grants=grants, headers=[held.text], list_bytes=0, acts=[act])
        assert channel.read_frame() == {"kept": 1}
    assert [item.held for item in vaults.holding(SPARE).stored()] == [False]


BAD_ACTS: dict[str, dict[str, Any]] = {
    "of the relaying holder itself": {"act": "lost", "subject": HOLDER},
    "of a node that has no part in it": {"act": "lost", "subject": SPARE},
    "for another service": {"act": "lost", "subject": ORIGIN, "service": "docs-d"},
    "that ended": {"act": "lost", "subject": ORIGIN, "days": 1, "start": 1_800_000_000.0},
    "that has not begun": {"act": "lost", "subject": ORIGIN, "start": 1_900_000_000.0},
    "that says something else": {"act": "freeze", "subject": ORIGIN},
}


@pytest.mark.parametrize("name", BAD_ACTS)
def test_a_spare_is_not_opened_by_an_act(vaults: VaultWorld, held: Generation, name: str) -> None:
    fields = dict(BAD_ACTS[name])
    act = vaults.act(fields.pop("act"), fields.pop("subject"), **fields)
    with pytest.raises(Refused, match="is only a spare"):
        _relay(vaults, held, SPARE, act)


def test_a_spare_is_not_opened_by_an_act_that_nobody_signed(vaults: VaultWorld, held: Generation) -> None:
    act = vaults.act("lost", ORIGIN).replace(b'"commune-a"', b'"hermitage"')
    with pytest.raises(IntegrityError, match="the act is not signed by a key of keeper"):
        _relay(vaults, held, SPARE, act)


def test_one_frame_of_acts_costs_a_few_signatures_to_check(
    vaults: VaultWorld, held: Generation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each check is a process: a frame of 16 MiB holds 32,000 copies of an act, and needs one old act and no key."""
    checked: list[bytes] = []
    verify = acts_of_operators.verify_person
    monkeypatch.setattr(
        acts_of_operators, "verify_person", lambda line, *rest: (checked.append(line), verify(line, *rest))
    )
    elsewhere = [vaults.act("lost", ORIGIN, service="docs-d", reason=f"no {number}") for number in range(20)]
    ended = [vaults.act("lost", ORIGIN, days=1, start=1_800_000_000.0, reason=f"no {number}") for number in range(20)]
    with pytest.raises(Refused, match="is only a spare"):
        _relay(vaults, held, SPARE, *elsewhere, *ended, *elsewhere)
    assert checked == [], "none claims what would open a spare"
    good = [vaults.act("lost", ORIGIN, reason=f"no {number}") for number in range(20)]
    _relay(vaults, held, SPARE, *(good[:1] * 1000), *good)
    assert len(checked) == 1
    checked.clear()
    forged = [it.replace(b'"commune-a"', b'"hermitage"') for it in good]
    with pytest.raises(IntegrityError, match="the act is not signed"):
        _relay(vaults, held, SPARE, *forged)
    assert len(checked) == 1


def _foreign_receipt(vaults: VaultWorld, held: Generation, **fields: Any) -> str:
    key = load_key(vaults.layout(HOLDER).keys / "sign_ed25519")
    said = {"holder": HOLDER, "header": held.header, "time": TIME, "age_seconds": 5, **fields}
    return make_receipt(key, **said).decode()


@pytest.mark.parametrize("name", BAD_RECEIPTS)
def test_a_relay_comes_with_a_receipt_and_an_age(vaults: VaultWorld, held: Generation, name: str) -> None:
    with pytest.raises(IntegrityError, match=r"receipt|not readable JSON"):
        _relay(vaults, held, STANDBY, **BAD_RECEIPTS[name])
    assert vaults.holding(STANDBY).stored() == ()


def test_a_relay_comes_with_its_own_receipt_for_this_generation(vaults: VaultWorld, held: Generation) -> None:
    other = vaults.seal(vaults.grant(), {"config": b"other"})
    for raw in (
        _foreign_receipt(vaults, other),
        _foreign_receipt(vaults, held, holder=STANDBY),
    ):
        with pytest.raises(IntegrityError, match=r"the receipt is not from commune-b for generation 2\.1"):
            _relay(vaults, held, STANDBY, receipt=raw)
    stolen = vaults.holding(HOLDER).read(held.name, RECEIPT).decode()
    vaults.put(held, vaults.grant(), at=STANDBY)
    with pytest.raises((IntegrityError, Refused)):
        _relay(vaults, held, HOLDER, caller=STANDBY, receipt=stolen)


def test_the_origin_and_strangers_relay_nothing(vaults: VaultWorld, held: Generation) -> None:
    for caller in (ORIGIN, "commune-d", "watch"):
        with vaults.session(STANDBY, caller) as channel, pytest.raises(Forbidden):
            push(channel, held, verb="put-relayed")


def test_a_relayed_generation_must_be_one_of_the_writers(vaults: VaultWorld, held: Generation) -> None:
    """A holder cannot make one up: it has no key of the writer's."""
    forged = held.text.replace("08:00:00", "08:00:01")
    with pytest.raises(IntegrityError, match="the signature does not match"):
        _relay(vaults, held, STANDBY, headers=[forged])


def test_what_retention_let_go_is_not_brought_back(vaults: VaultWorld, held: Generation) -> None:
    _relay(vaults, held, STANDBY)
    replica = vaults.holding(STANDBY)
    receipt = replica.read(held.name, RECEIPT)
    replica.path(held.name, LIST).unlink()
    assert _relay(vaults, held, STANDBY).encode() == receipt
    assert assert_whole(vaults, STANDBY) == []
    with vaults.session(STANDBY, HOLDER) as channel:
        assert head(channel)["thinned"] == [held.name]


@pytest.mark.parametrize("name", LIES)
def test_no_holder_makes_history_go_by_a_lie_about_its_age(vaults: VaultWorld, name: str) -> None:
    """With "a hundred years" everything but the newest was gone after the lock."""
    made = _daily(vaults)
    for day, generation in enumerate(made):
        _relay(vaults, generation, STANDBY, **_held_for(vaults, generation, LIES[name](day)))
    assert assert_whole(vaults, STANDBY) == [it.name for it in made]
    vaults.advance(35 * DAY)
    assert prune_replica(vaults.open(STANDBY), SERVICE).dropped == ()
    vaults.advance(60 * DAY)
    prune_replica(vaults.open(STANDBY), SERVICE)
    assert len(assert_whole(vaults, STANDBY)) >= DAYS // 7, "weeks are counted then"


def _daily(vaults: VaultWorld) -> list[Generation]:
    """A generation a day at the holder, whose header tells when it was made."""
    grant, made = vaults.grant(), list[Generation]()
    for day in range(DAYS):
        files = {"config": b"config", f"data/0/{day}": b"%d" % day * 9}
        time = utc_text(vaults.clocks[ORIGIN].now())
        made.append(vaults.seal(grant, files, made[-1] if made else None, time=time))
        vaults.put(made[-1], grant)
        vaults.advance(DAY)
    return made


def _held_for(vaults: VaultWorld, generation: Generation, seconds: float) -> dict[str, Any]:
    """The claims of a replica node with what it hands on: a receipt and an age of its own, which nobody can check."""
    key = load_key(vaults.layout(HOLDER).keys / "sign_ed25519")
    said = make_receipt(key, holder=HOLDER, header=generation.header, time=TIME, age_seconds=0)
    return {"receipt": said.decode(), "age_seconds": int(seconds)}


def test_the_writer_itself_may_bring_it_back(vaults: VaultWorld, held: Generation) -> None:
    """It pushes its newest only, which retention never lets go by itself; somebody's hand did."""
    _relay(vaults, held, STANDBY)
    replica = vaults.holding(STANDBY)
    replica.path(held.name, LIST).unlink()
    vaults.put(held, at=STANDBY)
    assert assert_whole(vaults, STANDBY) == [held.name]
    assert not replica.path(held.name, BUCKET).exists(), "its age is now our own receipt's"


def test_a_relay_of_an_ended_epoch_is_taken_as_history(vaults: VaultWorld, held: Generation) -> None:
    newer = vaults.grant(STANDBY, known_epoch=2)
    vaults.put(vaults.seal(newer, {"config": b"c"}, held), newer, caller=STANDBY)
    _relay(vaults, held, SPARE, vaults.act("lost", ORIGIN))
    assert assert_whole(vaults, SPARE) == [held.name]
    with pytest.raises(ApplianceError, match="epoch 2 of docs-a ended"):
        vaults.put(vaults.seal(vaults.grant(), {"config": b"d"}, held), at=SPARE)
    assert vaults.holding(SPARE).epochs() == (2, 4), "the newer grant came along and fences the older writer"


def test_a_relay_fills_the_share_without_waiting_for_days(vaults: VaultWorld) -> None:
    assert SERVICE == "docs-a"
    grant = vaults.grant()
    chain = vaults.chain(grant, 3)
    for made in chain:
        vaults.put(made, grant)
    act = vaults.act("lost", ORIGIN)
    for made in reversed(chain):
        _relay(vaults, made, SPARE, act, headers=[it.text for it in chain if it.name <= made.name])
    assert assert_whole(vaults, SPARE) == [made.name for made in chain]
