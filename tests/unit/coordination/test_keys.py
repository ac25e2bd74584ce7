"""The layout of the store, and what becomes of values that no node wrote."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.coordination import keys
from appliance.coordination.keys import Entry
from appliance.coordination.port import Alive, Intent, LeaseHolder, Owner, ServiceRecord
from appliance.errors import ApplianceError, IntegrityError, Refused
from tests.unit.coordination.claims import CLAIM, HOLDING


def test_the_keys_are_these() -> None:
    """A node of an older version must find them: what is changed here needs another prefix."""
    assert keys.owner_key("docs-a") == b"svc/docs-a/owner"
    assert keys.holder_key("docs-a") == b"svc/docs-a/holder"
    assert keys.intent_key("docs-a") == b"svc/docs-a/intent"
    assert keys.history_key("docs-a", 41) == b"svc/docs-a/history/00000000000000000041"
    assert keys.alive_key("hermitage") == b"nodes/hermitage/alive"


def test_the_values_are_these() -> None:
    assert keys.claimed(CLAIM) == (
        b'{"format":1,"node":"commune-a","reason":"moved","time":"2026-11-26T08:00:00Z","released":false}'
    )
    assert keys.released(HOLDING, "off", "2026-11-26T09:00:00Z") == (
        b'{"format":1,"node":"commune-a","reason":"off","time":"2026-11-26T09:00:00Z","released":true}'
    )
    assert keys.held(CLAIM) == b'{"format":1,"node":"commune-a","boot_id":"boot-1 15"}'


def test_a_prefix_takes_its_own_service_only() -> None:
    for service, other in (("docs", "docs-a"), ("docs-a", "docs")):
        start, end = keys.prefix(service), keys.after(keys.prefix(service))
        assert start <= keys.owner_key(service) < end
        assert not start <= keys.owner_key(other) < end


def test_a_state_is_made_of_its_entries_and_follows_their_changes() -> None:
    meant = Intent("docs-a", "move", "commune-b", "maintenance", "crue annoncée", 9, 60, act="ab" * 32)
    entries = [
        Entry(keys.owner_key("docs-a"), keys.claimed(CLAIM), 42),
        Entry(keys.holder_key("docs-a"), keys.held(CLAIM), 42, CLAIM.lease),
        Entry(keys.history_key("docs-a", 41), keys.claimed(CLAIM), 42),
        Entry(keys.intent_key("docs-a"), keys.intended(meant), 43, meant.lease),
    ]
    record = keys.record_from("docs-a", entries, 50)
    owner = Owner("commune-a", "moved", "2026-11-26T08:00:00Z", False, 42)
    assert record == ServiceRecord("docs-a", 50, owner, LeaseHolder("commune-a", "boot-1 15", CLAIM.lease, 42), meant)
    gone = keys.without(record, keys.holder_key("docs-a"), 51)
    assert gone == replace(record, revision=51, holder=None)
    gone = keys.without(keys.without(gone, keys.intent_key("docs-a"), 52), keys.owner_key("docs-a"), 53)
    assert gone == keys.without(gone, keys.history_key("docs-a", 41), 53) == ServiceRecord("docs-a", 53)
    assert gone.owned == 0


def test_who_is_alive_reads_back() -> None:
    here = Alive("hermitage", "boot-1", 9, 60)
    assert list(keys.read_alive([Entry(keys.alive_key("hermitage"), keys.is_alive(here), 3, 9)])) == [here]


def test_a_lease_names_its_node_and_no_other() -> None:
    nodes = [f"commune-{number}" for number in range(50)]
    for node in nodes:
        lease = keys.new_lease(node, 2**40 + 5)
        assert [other for other in nodes if keys.is_lease_of(other, lease)] == [node]
        assert keys.new_lease(node, 2**40 + 5) == lease != keys.new_lease(node, 6)


@given(st.text(min_size=1), st.integers(0))
def test_every_lease_is_a_positive_number_of_64_bits(node: str, random: int) -> None:
    lease = keys.new_lease(node, random)
    assert 0 < lease < 2**63
    assert keys.is_lease_of(node, lease)


@pytest.mark.parametrize("lease", [0, -1, 2**63, 7])
def test_what_nobody_chose_is_nobodys_lease(lease: int) -> None:
    assert not keys.is_lease_of("commune-a", lease)


@given(st.binary(max_size=60) | st.just(b"[" * 10_000))
def test_whatever_lies_in_the_store_is_refused_with_a_sentence(value: bytes) -> None:
    for key in (keys.owner_key("docs-a"), keys.holder_key("docs-a"), keys.intent_key("docs-a")):
        with pytest.raises(ApplianceError, match="in the store"):
            keys.record_from("docs-a", [Entry(key, value, 1)], 1)


def test_a_newer_format_asks_for_an_upgrade() -> None:
    newer = keys.claimed(CLAIM).replace(b'"format":1', b'"format":2')
    with pytest.raises(Refused, match=r"has format 2; this version reads 1\. Upgrade this node\."):
        keys.read_owner(Entry(keys.owner_key("docs-a"), newer, 1))
    intent = b'{"format":1,"kind":"paint","to":"","by":"","reason":"","act":"","ttl_seconds":1}'
    with pytest.raises(IntegrityError, match="paint"):
        keys.read_intent("docs-a", Entry(keys.intent_key("docs-a"), intent, 1))


def test_a_history_whose_key_is_no_number_is_refused() -> None:
    with pytest.raises(IntegrityError, match="not an entry of a history"):
        list(keys.read_history("docs-a", [Entry(keys.history_prefix("docs-a") + b"x", keys.claimed(CLAIM), 1)]))


def test_a_reason_longer_than_a_page_is_refused_before_it_is_sent() -> None:
    with pytest.raises(Refused, match="Shorten the text"):
        keys.claimed(replace(CLAIM, reason="x" * 5000))
