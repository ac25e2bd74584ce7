"""The file of accounts: whole or refused, for its owner alone, the same bytes for the same accounts."""

from __future__ import annotations

import hashlib
import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.accounts import model
from appliance.accounts.passwords import is_password, nt_hash
from appliance.accounts.second_factor import printed_code, totp_step
from appliance.accounts.store import read_or_new, read_store, store_bytes, write_store
from appliance.errors import ApplianceError, IntegrityError, NotFound, UsageError
from appliance.secret import Secret
from tests.worlds.accounts import SLOW, account, store

GOLDEN = Path(__file__).parents[2] / "golden/accounts-1/accounts.json"
GOLDEN_2 = GOLDEN.parents[1] / "accounts-2/accounts.json"
TWO = store("commune-a", account("marie", "secretariat", "elus"), account("paul.dupont-petit", disabled=True))


def test_what_is_written_is_read_and_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "accounts" / "accounts.json"
    write_store(file, TWO)
    assert read_store(file) == TWO
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert store_bytes(read_store(file)) == file.read_bytes()


def test_accounts_that_were_once_stored_are_read_for_ever() -> None:
    raw = GOLDEN.read_bytes()
    assert hashlib.sha256(raw).hexdigest() == "62ff3ee4fd887d2d84e0f8b27e6261031e7c321e15f2b197ca4564a23921aadd"
    found = read_store(GOLDEN)
    marie, paul = found.account("marie.dupont"), found.account("paul")
    assert (marie.groups, marie.disabled, paul.title, paul.disabled) == (
        ("elus", "secretariat"),
        False,
        "Paul Héraut",
        True,
    )
    password = Secret("un chêne près du lavoir".encode())
    assert nt_hash(password) == paul.nt_hash
    assert is_password(password, marie.slow_hash)


def test_accounts_of_the_second_format_are_read_and_written_as_they_were() -> None:
    raw = GOLDEN_2.read_bytes()
    assert hashlib.sha256(raw).hexdigest() == "bb5d431d87a5b9ae49eba69aaca85ce15436d7c8fb103527d571827dab812e0c"
    found = read_store(GOLDEN_2)
    assert store_bytes(found) == raw
    marie, paul = found.account("marie.dupont"), found.account("paul")
    assert is_password(Secret("un chêne près du lavoir".encode()), marie.slow_hash)
    assert marie.totp is not None
    assert totp_step(marie.totp, "287082", 59) == 1
    assert printed_code(marie.codes, "GEZD-GNBV-GY3T-QOJQ") == marie.codes[0]
    assert (paul.totp, paul.codes) == (None, ())


def test_a_store_that_is_not_there_yet_is_empty_and_one_of_another_node_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "accounts.json"
    assert read_or_new(file, "commune-a").accounts == {}
    with pytest.raises(NotFound, match="there are no accounts"):
        read_store(file)
    write_store(file, TWO)
    with pytest.raises(IntegrityError, match="these are the accounts of commune-a, but this is commune-b"):
        read_or_new(file, "commune-b")


@pytest.mark.parametrize(
    ("change", "say"),
    [
        ({"format": 3}, "its format is 3, and this version knows 2. Upgrade this node"),
        ({"type": "appliance/act"}, "this is not a file of accounts"),
        ({"name": "root\nx"}, "is not a valid account name"),
        ({"name": "appliance-x"}, "an account of the appliance itself"),
        ({"name": "vault-commune-b"}, "an account of the appliance itself"),
        ({"name": "postgres"}, "an account of the machine, not of a person"),
        ({"nt_hash": "A" * 31}, "not an NT hash"),
        ({"nt_hash": "A" * 32 + ":"}, "not an NT hash"),
        ({"slow_hash": "plain"}, "not one of our slow hashes"),
        ({"totp": "plain"}, "not one of our secrets"),
        ({"codes": ["plain"]}, "not our hashes"),
        ({"codes": ["0" * 64] * 9}, "not our hashes"),
        ({"groups": ["sudo,root"]}, "is not a valid group"),
        ({"groups": "elus"}, "damaged"),
        ({"disabled": 1}, "damaged"),
        ({"password_set": "2026"}, "damaged"),
        ({"title": "a\nb"}, "must be one line"),
        ({"more": 1}, "damaged"),
    ],
)
def test_a_store_that_is_not_ours_is_refused_with_its_name(tmp_path: Path, change: dict[str, object], say: str) -> None:
    values = json.loads(store_bytes(TWO))
    target = values if change.keys() & {"type", "format"} else values["accounts"][0]
    file = tmp_path / "accounts.json"
    file.write_text(json.dumps({**values, **change} if target is values else values | {"accounts": [target | change]}))
    with pytest.raises(IntegrityError) as caught:
        read_store(file)
    assert say in str(caught.value)
    assert str(caught.value).startswith(f"{file}: ")


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b"\xff", b'{"type": "appliance/accounts"}'])
def test_a_damaged_file_is_refused_with_what_to_do(tmp_path: Path, raw: bytes) -> None:
    file = tmp_path / "accounts.json"
    file.write_bytes(raw)
    with pytest.raises(IntegrityError, match="appliance internal account sync"):
        read_store(file)


def test_an_account_that_stands_twice_is_refused(tmp_path: Path) -> None:
    values = json.loads(store_bytes(TWO))
    file = tmp_path / "accounts.json"
    file.write_text(json.dumps(values | {"accounts": values["accounts"][:1] * 2}))
    with pytest.raises(IntegrityError, match="twice"):
        read_store(file)


def test_a_name_is_taken_once_and_who_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(ApplianceError, match="marie is already an account of commune-a"):
        model.add(TWO, account("marie"))
    with pytest.raises(NotFound, match=r'no account "luc" at commune-a; known: marie, paul\.dupont-petit'):
        model.remove(TWO, "luc")


@pytest.mark.parametrize("name", ["Marie", "élodie", "1marie", "marie.", "marie..d", "-marie", "a" * 33, "", "marie d"])
def test_a_name_that_root_should_not_make_an_account_of_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="is not a valid account name"):
        model.add(TWO, account(name))


@pytest.mark.parametrize("name", sorted(model.SYSTEM))
def test_a_name_that_a_package_makes_an_account_of_later_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="an account of the machine, not of a person"):
        model.add(TWO, account(name))
    model.add(TWO, account(f"{name}.dupont"))


def test_a_new_password_changes_its_account_alone() -> None:
    new = Secret(b"0" * 32)
    changed = model.renew(TWO, "marie", new, SLOW, 5)
    assert changed.accounts["marie"] == replace(TWO.accounts["marie"], nt_hash=new, password_set=5)
    assert changed.accounts["paul.dupont-petit"] == TWO.accounts["paul.dupont-petit"]


def test_nothing_of_a_password_is_in_what_an_account_prints() -> None:
    text = f"{TWO!r} {TWO.accounts['marie']}"
    assert TWO.accounts["marie"].nt_hash.reveal().decode() not in text
    assert "scrypt" not in text
