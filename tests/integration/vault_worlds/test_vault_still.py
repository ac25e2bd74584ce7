"""A still at a vault: the writer's word that nothing changed is taken once, now, and about the newest generation."""

from __future__ import annotations

from typing import Any

import pytest

from appliance.backup.vault.still import PART, load_taken
from appliance.clock import SKEW_SECONDS_MAX, utc_text
from appliance.errors import ApplianceError, Forbidden, IntegrityError, NotFound, Refused
from appliance.trust.grant import Grant
from appliance.trust.keys import public_line
from appliance.trust.still.receipt import make_still_receipt, read_still_receipt
from appliance.trust.still.statement import make_still, read_still
from tests.worlds.vaults import HOLDER, ORIGIN, STANDBY, Generation, VaultWorld, ask, head


@pytest.fixture
def grant(vaults: VaultWorld) -> Grant:
    return vaults.grant()


@pytest.fixture
def held(vaults: VaultWorld, grant: Grant) -> Generation:
    made = vaults.chain(grant, 2)
    vaults.put(made[0], grant)
    vaults.put(made[1])
    return made[1]


def statement(vaults: VaultWorld, made: Generation, number: int = 1, *, ago: float = 0, writer: str = ORIGIN) -> bytes:
    time = utc_text(vaults.clocks[ORIGIN].now() - ago)
    return make_still(vaults.signing_key(writer), header=made.header, number=number, time=time)


def send(vaults: VaultWorld, raw: bytes, caller: str = ORIGIN) -> bytes:
    """The receipt of the vault for `raw`; raise its refusal."""
    with vaults.session(HOLDER, caller) as channel:
        ask(channel, "still", statement=raw.decode())
        return str(channel.read_frame()["receipt"]).encode()


def test_the_receipt_names_the_statement_and_the_head_shows_both(vaults: VaultWorld, held: Generation) -> None:
    raw = statement(vaults, held)
    receipt = send(vaults, raw)
    said = read_still(raw, public_line(vaults.signing_key(ORIGIN)))
    keys = public_line(vaults.signing_key(HOLDER))
    assert read_still_receipt(receipt, HOLDER, keys, said).statement == said.document.line_digest
    with vaults.session(HOLDER, STANDBY) as channel:
        found = head(channel)
    assert found["still"] == {"statement": raw.decode(), "receipt": receipt.decode()}
    assert found["reads"] == {"generation": 2, "still": 1}


def test_the_same_statement_gets_the_same_receipt_however_late_it_comes_again(
    vaults: VaultWorld, held: Generation
) -> None:
    raw = statement(vaults, held)
    first = send(vaults, raw)
    vaults.advance(40 * 86400)
    assert send(vaults, raw) == first


def test_a_replayed_statement_keeps_no_dead_writer_fresh(vaults: VaultWorld, held: Generation) -> None:
    first, second = statement(vaults, held, 1), statement(vaults, held, 2)
    send(vaults, second)
    with pytest.raises(Refused, match="a later statement about docs-a was taken already"):
        send(vaults, first)
    taken = load_taken(vaults.holding(HOLDER))
    assert taken is not None
    assert taken.statement == second


def test_a_later_number_with_an_earlier_time_is_refused(vaults: VaultWorld, held: Generation) -> None:
    send(vaults, statement(vaults, held, 1))
    with pytest.raises(Refused, match="a later statement"):
        send(vaults, statement(vaults, held, 2, ago=30))


@pytest.mark.parametrize("ago", [SKEW_SECONDS_MAX + 1, -SKEW_SECONDS_MAX - 2])
def test_a_statement_that_was_kept_back_or_is_from_the_future_is_refused(
    vaults: VaultWorld, held: Generation, ago: float
) -> None:
    with pytest.raises(Refused, match="the clock here says"):
        send(vaults, statement(vaults, held, ago=ago))
    assert load_taken(vaults.holding(HOLDER)) is None


def test_a_statement_about_another_than_the_newest_generation_is_refused(
    vaults: VaultWorld, grant: Grant, held: Generation
) -> None:
    newer = vaults.seal(grant, {"config": b"config", "data/0/9": b"newer"}, held)
    with pytest.raises(NotFound, match=r"generation 2\.3 is not the newest that is held here"):
        send(vaults, statement(vaults, newer))
    vaults.put(newer)
    with pytest.raises(NotFound, match=r"generation 2\.2 is not the newest"):
        send(vaults, statement(vaults, held))
    send(vaults, statement(vaults, newer))


def test_a_statement_about_a_damaged_generation_is_refused(vaults: VaultWorld, held: Generation) -> None:
    replica = vaults.holding(HOLDER)
    replica.path(held.name, "damaged").touch()
    with pytest.raises(NotFound, match="is not the newest that is held here"):
        send(vaults, statement(vaults, held))


def test_a_writer_whose_epoch_ended_is_refused_as_for_a_push(vaults: VaultWorld, held: Generation) -> None:
    """The lease went elsewhere between its walk and its statement."""
    raw = statement(vaults, held)
    later = vaults.grant(STANDBY, known_epoch=2)
    vaults.put(vaults.seal(later, {"config": b"config"}, held), later, caller=STANDBY)
    with pytest.raises(Forbidden, match='"commune-a" may not "still" docs-a here'):
        send(vaults, raw)
    with pytest.raises(ApplianceError, match="signed by a key that may not sign it"):
        send(vaults, raw, caller=STANDBY)


def test_a_grant_alone_ends_the_statements_of_the_writer_before(vaults: VaultWorld, held: Generation) -> None:
    """The new writer has nothing to bring yet: then nothing that is here may be called fresh by either."""
    later = vaults.grant(STANDBY, known_epoch=2)
    vaults.holding(HOLDER).add_grant(later.epoch, later.document.raw)
    signed = make_still(
        vaults.signing_key(STANDBY), header=held.header, number=1, time=utc_text(vaults.clocks[ORIGIN].now())
    )
    with pytest.raises(Refused, match="epoch 2 of docs-a ended: epoch 4 belongs to hermitage"):
        send(vaults, signed, caller=STANDBY)


@pytest.mark.parametrize("raw", ["", "x", '{"type": "appliance/still"}\n'])
def test_what_is_no_statement_is_refused(vaults: VaultWorld, held: Generation, raw: str) -> None:
    with pytest.raises(IntegrityError):
        send(vaults, raw.encode())


def test_a_statement_signed_by_another_node_is_refused(vaults: VaultWorld, held: Generation) -> None:
    with pytest.raises(Refused, match="signed by a key that may not sign it"):
        send(vaults, statement(vaults, held, writer=STANDBY))


def test_a_torn_memory_of_the_last_statement_costs_nothing(vaults: VaultWorld, held: Generation) -> None:
    send(vaults, statement(vaults, held, 1))
    path = vaults.holding(HOLDER).root / PART
    path.chmod(0o600)
    path.write_bytes(b"{")
    assert load_taken(vaults.holding(HOLDER)) is None
    send(vaults, statement(vaults, held, 2))


def test_a_receipt_for_another_statement_or_of_another_node_is_refused(vaults: VaultWorld, held: Generation) -> None:
    writer, holder = public_line(vaults.signing_key(ORIGIN)), vaults.signing_key(HOLDER)
    first, second = (read_still(statement(vaults, held, number), writer) for number in (1, 2))
    said: dict[str, Any] = {"holder": HOLDER, "still": first, "time": "2026-11-25T08:00:00Z", "age_seconds": 1}
    raw = make_still_receipt(holder, **said)
    read_still_receipt(raw, HOLDER, public_line(holder), first)
    with pytest.raises(IntegrityError, match="is not from commune-b for this statement"):
        read_still_receipt(raw, HOLDER, public_line(holder), second)
    with pytest.raises(IntegrityError, match="is not from hermitage"):
        read_still_receipt(raw, STANDBY, public_line(holder), first)
