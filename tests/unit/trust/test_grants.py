"""Grants, the requests for them, and receipts: read back as made, refused in every other form."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from appliance.borg.nonce import floor_of
from appliance.errors import ApplianceError, IntegrityError, Refused
from appliance.trust import grant, receipt, signed
from appliance.trust.generation import NO_PARENT, Entry, make_header, read_header
from appliance.trust.grant import make_grant, make_request, read_grant, read_request
from appliance.trust.keys import public_line
from appliance.trust.receipt import make_receipt, read_receipt

TERRITORY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
NODE = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
TERRITORY_PUBLIC, NODE_PUBLIC = public_line(TERRITORY), public_line(NODE)
REPOSITORY = "ab" * 32

names = st.from_regex(signed.NAME, fullmatch=True)
reasons = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50)


def _request(known_epoch: int = 0, **fields: Any) -> bytes:
    said = {"service": "docs-a", "repository": REPOSITORY, "writer": "commune-a", "reason": "test", **fields}
    return make_request(NODE, **said, known_epoch=known_epoch)


def _grant(**changed: Any) -> bytes:
    raw = make_grant(TERRITORY, read_request(_request(), NODE_PUBLIC))
    fields = signed.read(raw, grant.TYPE, (TERRITORY_PUBLIC,)).fields
    said = {name: value for name, value in fields.items() if name not in ("type", "format")}
    return signed.make(grant.TYPE, {**said, **changed}, TERRITORY)


@given(names, names, reasons, st.integers(0, 65_532))
def test_a_request_is_granted_as_it_was_made(service: str, writer: str, reason: str, known: int) -> None:
    request = read_request(_request(known, service=service, writer=writer, reason=reason), NODE_PUBLIC)
    assert (request.service, request.writer, request.reason, request.known_epoch) == (service, writer, reason, known)
    granted = read_grant(make_grant(TERRITORY, request), TERRITORY_PUBLIC)
    assert (granted.service, granted.writer, granted.reason) == (service, writer, reason)
    assert granted.writer_key == NODE_PUBLIC
    assert granted.repository == REPOSITORY
    assert granted.previous == known < granted.epoch
    assert granted.epoch % 2 == 0, "odd epochs are the brokers'"
    assert granted.epoch - known <= 2, "no epoch is wasted"
    assert granted.nonce_floor == floor_of(granted.epoch)


@pytest.mark.parametrize(("known", "epoch"), [(0, 2), (1, 2), (2, 4), (3, 4), (65_531, 65_532), (65_533, 65_534)])
def test_epochs_of_the_territory_key_are_even_and_above_all_known(known: int, epoch: int) -> None:
    assert (
        read_grant(make_grant(TERRITORY, read_request(_request(known), NODE_PUBLIC)), TERRITORY_PUBLIC).epoch == epoch
    )


@pytest.mark.parametrize("known", [65_534, 65_535])
def test_the_last_epoch_is_the_last(known: int) -> None:
    with pytest.raises(Refused, match="docs-a has used all its 65535 epochs") as caught:
        make_grant(TERRITORY, read_request(_request(known), NODE_PUBLIC))
    assert caught.value.remedy == "Start a new repository with a new key."


def test_a_request_or_grant_signed_by_another_key_is_refused() -> None:
    with pytest.raises(Refused, match="signed by a key that may not sign it"):
        read_request(_request(), TERRITORY_PUBLIC)
    with pytest.raises(Refused, match="signed by a key that may not sign it"):
        read_grant(_grant(), NODE_PUBLIC)


def test_one_document_is_not_read_as_another() -> None:
    with pytest.raises(IntegrityError, match="the signature is for 'appliance/grant-request'"):
        read_grant(_request(), NODE_PUBLIC)
    with pytest.raises(IntegrityError, match="the signature is for 'appliance/grant'"):
        read_request(_grant(), TERRITORY_PUBLIC)


BAD_GRANTS: dict[str, list[Any]] = {
    "service": ["", "Docs", None, 5],
    "epoch": [0, -2, 65_536, "2", True, None],
    "repository": ["", "ab" * 31, "AB" * 32, None],
    "writer": ["", "A", None],
    "writer_key": ["", None, 5],
    "previous": [-1, "0", None, True],
    "nonce_floor": [-1, None, "0", 2**64],
    "reason": ["", None],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD_GRANTS.items() for value in values])
def test_a_grant_with_a_field_of_another_form_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(IntegrityError, match=f'field "{name}" is missing or (malformed|out of range)'):
        read_grant(_grant(**{name: value}), TERRITORY_PUBLIC)


@pytest.mark.parametrize(
    "changed",
    [
        {"epoch": 3, "nonce_floor": floor_of(3)},
        {"epoch": 2, "previous": 2},
        {"epoch": 2, "previous": 5},
        {"nonce_floor": floor_of(2) + 1},
        {"nonce_floor": 0},
        {"epoch": 4},
    ],
)
def test_a_grant_that_contradicts_itself_is_refused(changed: dict[str, int]) -> None:
    with pytest.raises(IntegrityError, match="contradicts itself"):
        read_grant(_grant(**changed), TERRITORY_PUBLIC)


# Receipts


def _receipt(**fields: Any) -> bytes:
    raw = make_header(
        NODE,
        service="docs-a",
        epoch=2,
        sequence=7,
        previous=NO_PARENT,
        time="2026-11-25T08:00:00Z",
        listing=b"",
        entries=[Entry("config", "a" * 64, 5)],
    )
    said = {"holder": "commune-b", "header": read_header(raw, NODE_PUBLIC), "time": "2026-11-25T08:00:01Z"}
    return make_receipt(TERRITORY, **{**said, "age_seconds": 5, **fields})


@given(names, st.integers(0, 2**62))
def test_a_receipt_is_read_back_as_it_was_made(holder: str, age: int) -> None:
    read = read_receipt(_receipt(holder=holder, age_seconds=age), TERRITORY_PUBLIC)
    assert (read.holder, read.service, str(read.generation), read.age_seconds) == (holder, "docs-a", "2.7", age)


BAD_RECEIPTS: dict[str, list[Any]] = {
    "holder": ["", "B", None],
    "service": ["", None],
    "epoch": [0, 65_536, True, None],
    "sequence": [0, 10**10, None],
    "header": ["", "a" * 63, None],
    "time": ["", None],
    "age_seconds": [-1, "5", None, True],
}


@pytest.mark.parametrize(("name", "value"), [(name, v) for name, values in BAD_RECEIPTS.items() for v in values])
def test_a_receipt_with_a_field_of_another_form_is_refused_by_name(name: str, value: object) -> None:
    fields = signed.read(_receipt(), receipt.TYPE, (TERRITORY_PUBLIC,)).fields
    said = {key: kept for key, kept in fields.items() if key not in ("type", "format")}
    with pytest.raises(IntegrityError, match=f'field "{name}" is missing or (malformed|out of range)'):
        read_receipt(signed.make(receipt.TYPE, {**said, name: value}, TERRITORY), TERRITORY_PUBLIC)


def test_a_receipt_of_another_holder_is_refused() -> None:
    with pytest.raises(ApplianceError, match="signed by a key that may not sign it"):
        read_receipt(_receipt(), NODE_PUBLIC)
