"""The ceremony: shown, typed back, proved, forgotten."""

from __future__ import annotations

import pytest

from appliance.errors import Refused
from appliance.escrow import age, paper_key
from appliance.escrow.age import RecoveryKey
from appliance.escrow.ceremony import ceremony
from appliance.escrow.envelopes import ServiceKey, seal
from appliance.secret import Secret


class Person:
    """Copies the sheet, with mistakes in the first `mistakes` tries, and remembers what was said."""

    def __init__(self, mistakes: int = 0) -> None:
        self.mistakes = mistakes
        self.sheets: list[RecoveryKey] = []
        self.told: list[str] = []

    def look(self, key: RecoveryKey) -> None:
        self.sheets.append(key)

    def type(self, wrong: str) -> Secret:
        self.told.append(wrong)
        text = "\n".join(paper_key.lines(self.sheets[0].secret)).lower()
        if len(self.told) <= self.mistakes:
            text = text[:-1] + ("q" if text[-1] != "q" else "p")
        return Secret(text.encode())


def test_the_public_half_of_what_was_shown_is_kept() -> None:
    person = Person()
    public = ceremony(person.look, person.type)
    assert public == person.sheets[0].public == age.public_of(person.sheets[0].secret)
    assert person.told == [""]


def test_two_mistakes_are_forgiven_and_named() -> None:
    person = Person(mistakes=2)
    assert ceremony(person.look, person.type).startswith("age1")
    assert all("line 5, group 3" in told for told in person.told[1:])
    assert len(person.told) == 3


def test_after_three_mistakes_the_key_is_forgotten() -> None:
    person = Person(mistakes=3)
    with pytest.raises(Refused, match=r"line 5, group 3.* This key is forgotten"):
        ceremony(person.look, person.type)
    assert len(person.told) == 3


def test_another_valid_key_is_not_taken_for_the_one_shown() -> None:
    other = age.generate()
    with pytest.raises(Refused):
        ceremony(lambda key: None, lambda wrong: other.secret)


def test_a_real_services_envelope_can_be_the_proof() -> None:
    person, sealed_to = Person(), []

    def seal_service(public: str) -> bytes:
        sealed_to.append(public)
        return seal(ServiceKey(Secret(b"passphrase"), Secret(b"BORG_KEY 20ee\nabc\n")), public)

    assert [ceremony(person.look, person.type, seal_service)] == sealed_to


def test_an_envelope_that_the_paper_does_not_open_ends_the_ceremony() -> None:
    person = Person()
    outsider = age.generate().public
    with pytest.raises(Refused, match="does not open"):
        ceremony(person.look, person.type, lambda public: seal(_key(), outsider))


def test_the_key_never_prints() -> None:
    assert "AGE-SECRET" not in repr(age.generate())


def _key() -> ServiceKey:
    return ServiceKey(Secret(b"passphrase"), Secret(b"BORG_KEY 20ee\nabc\n"))
