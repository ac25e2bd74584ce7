"""Sign-in takes a password and a code that opens once, at each node that has the account, and nobody too often."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyotp
import pytest

from appliance.accounts.model import Account, Store
from appliance.accounts.second_factor import STEP_SECONDS, code_hash, new_totp
from appliance.portal.base import sign_in
from appliance.portal.base.database import Database
from appliance.portal.base.limits import (
    PER_ADDRESS,
    PER_NAME,
    PER_NAME_EVERYWHERE,
    PER_PRINTED,
    WINDOW_SECONDS,
)
from appliance.portal.base.person import Person
from appliance.portal.base.sessions import IDLE_SECONDS, LONGEST_SECONDS, Sessions
from appliance.portal.base.sign_in import Authenticator, Wait
from appliance.secret import Secret
from appliance.units import DAY
from tests.worlds.accounts import account

PASSWORD = b"un chene au lavoir"
NOW = 1_800_000_000.0
TOTP = new_totp()
PRINTED = "GEZD-GNBV-GY3T-QOJQ"


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """A comparison that costs nothing, and what it was asked for."""
    asked: list[bytes] = []

    def is_password(typed: Secret, kept: Secret) -> bool:
        asked.append(kept.reveal())
        return typed.reveal() == PASSWORD and kept.reveal() != b"nobody's"

    monkeypatch.setattr(sign_in, "is_password", is_password)
    monkeypatch.setattr(sign_in, "slow_hash", lambda password: Secret(b"nobody's"))
    return asked


def code_at(totp: Secret, now: float) -> str:
    """Return the code that a phone shows at `now`."""
    return pyotp.TOTP(totp.reveal().decode()).at(int(now))


def entering(name: str, *groups: str, disabled: bool = False) -> Account:
    return replace(account(name, *groups, disabled=disabled), totp=TOTP, codes=(code_hash(PRINTED),))


@pytest.fixture
def stores() -> list[Store]:
    people = (entering("marie", "elus"), entering("luc", disabled=True), account("paul"))
    return [
        Store("commune-a", {it.name: it for it in people}),
        Store("commune-b", {"marie": entering("marie", "regie")}),
    ]


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "portal.db")


@pytest.fixture
def enter(database: Database, stores: list[Store]) -> Callable[..., Person | Wait | None]:
    authenticator = Authenticator(database, lambda: tuple(stores), answer_seconds=0)

    def come(
        name: str = "marie",
        password: bytes = PASSWORD,
        code: str | None = None,
        now: float = NOW,
        address: str = "10.0.0.7",
    ) -> object:
        return authenticator.enter(
            name, password, code_at(TOTP, now) if code is None else code, address=address, now=now
        )

    return come  # type: ignore[return-value]


def test_each_node_that_has_the_account_lets_it_in_with_its_own_groups(enter: Callable[..., Person]) -> None:
    who = enter()
    assert who == Person("marie", "Marie", {"commune-a": ("elus",), "commune-b": ("regie",)})
    assert (who.maintains("commune-a"), who.maintains("commune-b")) == (False, True)


@pytest.mark.parametrize(
    ("name", "password", "code"),
    [
        ("marie", b"another one", None),
        ("marie", PASSWORD, "000000"),
        ("marie", PASSWORD, ""),
        ("nobody", PASSWORD, None),
        ("luc", PASSWORD, None),
        ("paul", PASSWORD, None),
        ("marie", PASSWORD + b"\xff", None),
    ],
    ids=["password", "code", "no code", "name", "disabled", "no sheet", "no text"],
)
def test_whatever_is_wrong_the_answer_is_one_and_as_many_passwords_are_hashed(
    enter: Callable[..., object], quick_hashes: list[bytes], name: str, password: bytes, code: str | None
) -> None:
    assert enter(name, password, code) is None
    assert len(quick_hashes) == 2, "one for each store, whether the account is there or not"


def test_a_code_of_the_phone_opens_once_and_none_before_it_any_more(enter: Callable[..., object]) -> None:
    assert enter(now=NOW)
    assert enter(now=NOW) is None
    assert enter(code=code_at(TOTP, NOW - STEP_SECONDS)) is None
    assert enter(now=NOW + STEP_SECONDS)


def test_a_printed_code_opens_once(enter: Callable[..., object]) -> None:
    assert enter(code=PRINTED.lower())
    assert enter(code=PRINTED) is None


def test_who_tries_too_often_waits_whatever_the_name_and_nothing_is_looked_at(
    enter: Callable[..., object], quick_hashes: list[bytes]
) -> None:
    for name in ("marie", "nobody"):
        for _ in range(PER_NAME):
            assert enter(name, b"wrong") is None
        looked = len(quick_hashes)
        assert enter(name) == Wait(WINDOW_SECONDS)
        assert len(quick_hashes) == looked
    assert isinstance(enter(now=NOW + WINDOW_SECONDS), Person)


def test_who_came_in_has_all_tries_again(enter: Callable[..., object]) -> None:
    for step in range(3):
        for _ in range(PER_NAME - 1):
            assert enter(password=b"wrong") is None
        assert enter(now=NOW + step * STEP_SECONDS)


def test_one_address_tries_many_names_only_so_often(enter: Callable[..., object]) -> None:
    for number in range(PER_ADDRESS):
        assert enter(f"name{number}") is None
    assert isinstance(enter("another"), Wait)


def test_wrong_passwords_at_one_address_keep_nobody_out_at_another(enter: Callable[..., object]) -> None:
    for _ in range(PER_NAME):
        assert enter(password=b"wrong", address="10.0.0.66") is None
    assert isinstance(enter(address="10.0.0.66"), Wait)
    assert isinstance(enter(), Person)


def test_tries_while_the_clock_was_ahead_keep_nobody_out_for_years(enter: Callable[..., object]) -> None:
    for _ in range(PER_NAME):
        assert enter(password=b"wrong", now=NOW + 3650 * DAY) is None
    assert isinstance(enter(), Person)


def test_a_printed_code_opens_though_an_attack_from_many_addresses_keeps_the_phone_out(
    enter: Callable[..., object],
) -> None:
    for number in range(PER_NAME_EVERYWHERE):
        assert enter(password=b"wrong", address=f"10.0.1.{number}") is None
    assert isinstance(enter(), Wait)
    assert isinstance(enter(code="GEZD-GNBV-GY3T-AAAA"), Wait)
    assert isinstance(enter(code=PRINTED), Person)
    assert isinstance(enter(code=PRINTED, address="10.0.0.8"), Person | None)


def test_a_stolen_sheet_guesses_no_more_passwords_than_others(enter: Callable[..., object]) -> None:
    for _ in range(PER_NAME):
        assert enter(password=b"wrong", code=PRINTED) is None
    for _ in range(PER_PRINTED):
        assert enter(password=b"wrong", code=PRINTED) is None
    assert isinstance(enter(code=PRINTED), Wait)


# Sessions


@pytest.fixture
def sessions(database: Database, stores: list[Store]) -> Sessions:
    return Sessions(database, lambda: tuple(stores))


WHO = Person("marie", "Marie", {"commune-a": ("elus",), "commune-b": ("regie",)})


@pytest.mark.parametrize("ahead", [3650 * DAY, LONGEST_SECONDS])
def test_a_session_that_began_while_the_clock_was_ahead_ends_when_it_is_right(sessions: Sessions, ahead: float) -> None:
    """Otherwise a thief of its token is let in until the wrong date has come."""
    token = sessions.begin(WHO, NOW + ahead)
    assert sessions.find(token, NOW + ahead + 5)
    assert sessions.find(token, NOW) is None


def test_a_clock_that_is_set_back_a_little_ends_no_session(sessions: Sessions) -> None:
    token = sessions.begin(WHO, NOW)
    assert sessions.find(token, NOW - 60)


def test_a_session_is_found_by_its_token_which_is_kept_nowhere(sessions: Sessions, tmp_path: Path) -> None:
    token = sessions.begin(WHO, NOW)
    found = sessions.find(token, NOW + 5)
    assert found
    assert found.person == WHO
    assert found.ends == NOW + 5 + IDLE_SECONDS
    assert sessions.begin(WHO, NOW) != token
    assert all(token.encode() not in file.read_bytes() for file in tmp_path.iterdir())
    assert sessions.find("", NOW) is None
    assert sessions.find("forged \udcff", NOW) is None


def test_a_session_ends_after_a_pause_after_a_day_and_when_it_is_left(sessions: Sessions) -> None:
    paused, long, left = (sessions.begin(WHO, NOW) for _ in range(3))
    assert sessions.find(paused, NOW + IDLE_SECONDS + 1) is None
    for quarter in range(int(LONGEST_SECONDS // (IDLE_SECONDS / 2))):
        assert sessions.find(long, NOW + quarter * IDLE_SECONDS / 2)
    assert sessions.find(long, NOW + LONGEST_SECONDS + 1) is None
    sessions.end(left)
    assert sessions.find(left, NOW) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda it: replace(it, disabled=True),
        lambda it: replace(it, slow_hash=Secret(b"another")),
        lambda it: replace(it, totp=new_totp()),
        lambda it: replace(it, totp=None, codes=()),
    ],
    ids=["disabled", "another password", "another sheet", "no sheet"],
)
def test_what_an_account_loses_its_session_loses_at_once(
    sessions: Sessions, stores: list[Store], change: Callable[[Account], Account]
) -> None:
    token = sessions.begin(WHO, NOW)
    stores[0] = Store("commune-a", {"marie": change(stores[0].accounts["marie"])})
    found = sessions.find(token, NOW)
    assert found
    assert found.person.groups == {"commune-b": ("regie",)}, "the other node still vouches"
    stores[1] = Store("commune-b")
    assert sessions.find(token, NOW) is None
