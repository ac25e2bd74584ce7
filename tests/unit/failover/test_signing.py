"""A broker's promises: on the disk before any signature is made, and none is ever made without them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from appliance.errors import ApplianceError, IntegrityError, NoSpace, Refused
from appliance.trust.voted import assemble, read_voted, statement
from appliance.voter.grant_rules import View
from appliance.voter.promises import Promised, begin_promises, load_promises
from appliance.voter.signing import Signer
from tests.unit.failover.brokers import view
from tests.worlds.documents import HOME, STANDBY, release
from tests.worlds.voters import KEYS, asked, voting

MACHINE = "8f1d0c5e7a"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    begin_promises(tmp_path / "promises", MACHINE)
    return tmp_path / "promises"


def sign(path: Path, voter: str = "commune-c", key: str = "", **changed: Any) -> bytes:
    def look(promised: Promised) -> View:
        return view(**{"voter": voter, "release": release(), "promised": promised, **changed})

    return Signer(path, MACHINE, KEYS[key or voter]).sign("docs-a", look)


def test_brokers_that_never_speak_to_each_other_make_one_grant(tmp_path: Path) -> None:
    votes = []
    for name in ("commune-b", "commune-c", "commune-d"):
        begin_promises(tmp_path / name, MACHINE)
        votes.append(sign(tmp_path / name, name))
    grant = read_voted(assemble(statement(asked(2, STANDBY), voting()), votes), voting())
    assert (grant.epoch, grant.writer) == (3, STANDBY)


def test_what_was_signed_is_remembered_over_a_restart(path: Path) -> None:
    first = sign(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert sign(path) == first
    with pytest.raises(Refused, match="this broker has signed another grant of docs-a, of epoch 3") as caught:
        sign(path, request=asked(2, STANDBY, reason="another"))
    assert caught.value.remedy == "Ask again for an epoch above 3."
    assert set(load_promises(path, MACHINE).of("docs-a").lines) == {3}


@pytest.mark.parametrize("error", [NoSpace("the disk is full."), KeyboardInterrupt()])
def test_no_signature_leaves_when_the_promise_could_not_be_kept(
    path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    made: list[bytes] = []
    monkeypatch.setattr("appliance.voter.signing.vote", lambda key, line: made.append(line))
    monkeypatch.setattr("appliance.voter.promises.write_atomic", fail)
    with pytest.raises(type(error)):
        sign(path)
    assert made == []


def test_cut_after_the_promise_it_signs_that_line_only(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as cut:

        def die(*_: object) -> bytes:
            raise KeyboardInterrupt

        cut.setattr("appliance.voter.signing.vote", die)
        with pytest.raises(KeyboardInterrupt):
            sign(path)
    with pytest.raises(Refused, match="has signed another grant"):
        sign(path, request=asked(2, HOME))
    assert sign(path)


def test_what_it_declines_is_no_promise(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(Refused, match="may still be writing alone") as caught:
        sign(path, release=None)
    assert "`promote`" in caught.value.remedy
    assert path.read_bytes() == before


def test_it_signs_with_its_own_key_and_about_what_it_was_asked(path: Path) -> None:
    with pytest.raises(Refused, match="this is not the key of the voter commune-c in bundle 7"):
        sign(path, key="commune-d")
    with pytest.raises(Refused, match="examined another service"):
        sign(path, promised=Promised({9: "ab" * 32}))
    with pytest.raises(Refused, match="examined another service"):
        sign(path, request=asked(2, STANDBY, service="docs-b"))


def test_without_its_promises_it_signs_nothing(path: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="does not know what it promised"):
        sign(tmp_path / "lost")
    with pytest.raises(Refused, match="already made promises"):
        begin_promises(path, MACHINE)
    with pytest.raises(Refused, match="made on another machine"):
        load_promises(path, "a clone")


def _written(**promised: Any) -> str:
    return json.dumps({"format": 1, "machine": MACHINE, "services": {"docs-a": promised}})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        json.dumps({"format": 1, "machine": MACHINE, "services": []}),
        _written(),
        _written(lines={"x": "ab" * 32}, acts={}, present=0),
        _written(lines={"3": "ab"}, acts={}, present=0),
        _written(lines={"65536": "ab" * 32}, acts={}, present=0),
        _written(lines={}, acts={"ab" * 32: "3"}, present=0),
        _written(lines={}, acts={}, present=True),
    ],
)
def test_damaged_promises_sign_nothing(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(IntegrityError, match="the record of promises cannot be read") as caught:
        sign(path)
    assert "new keys" in caught.value.remedy


def test_promises_of_a_later_version_sign_nothing(path: Path) -> None:
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(ApplianceError, match="promises of format 2; this version reads 1"):
        sign(path)
