"""The key holder's side remembers what it granted: two nodes never own one range of counters."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.errors import IntegrityError
from appliance.trust.grant import GrantRequest, make_request, read_request
from appliance.trust.granted import Granted
from appliance.trust.keys import create_key, load_key, public_line


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    create_key(tmp_path / "territory")
    return tmp_path / "territory"


def asked(known_epoch: int, service: str = "docs-a") -> GrantRequest:
    """A request of a node of its own."""
    key = Ed25519PrivateKey.generate()
    raw = make_request(
        key, service=service, repository="ab" * 32, writer="commune-a", known_epoch=known_epoch, reason="test"
    )
    return read_request(raw, public_line(key))


def grant(key_file: Path, request: GrantRequest) -> int:
    granted = Granted(key_file)
    epoch = granted.grant(load_key(key_file), request).epoch
    granted.save()
    return epoch


def test_two_that_know_as_little_get_different_epochs(key_file: Path) -> None:
    assert [grant(key_file, asked(2)), grant(key_file, asked(2)), grant(key_file, asked(0))] == [4, 6, 8]


def test_what_the_peers_know_counts_too(key_file: Path) -> None:
    assert [grant(key_file, asked(0)), grant(key_file, asked(9)), grant(key_file, asked(4))] == [2, 10, 12]


def test_what_a_revocation_ended_is_passed_over(key_file: Path) -> None:
    assert Granted(key_file).grant(load_key(key_file), asked(4), above=511).epoch == 512


def test_each_service_has_its_own_epochs(key_file: Path) -> None:
    assert [grant(key_file, asked(0)), grant(key_file, asked(0, "docs-b"))] == [2, 2]


def test_several_in_one_go_differ(key_file: Path) -> None:
    granted = Granted(key_file)
    assert [granted.grant(load_key(key_file), asked(0)).epoch for _ in range(3)] == [2, 4, 6]


@pytest.mark.parametrize("text", ["", "[]", '{"docs-a": "2"}', '{"docs-a": 0}', '{"docs-a": 70000}'])
def test_a_damaged_note_grants_nothing(key_file: Path, text: str) -> None:
    key_file.with_name("territory.granted").write_text(text)
    with pytest.raises(IntegrityError, match="the record of grants cannot be read"):
        Granted(key_file)


def test_the_note_is_for_the_key_holder_only(key_file: Path) -> None:
    grant(key_file, asked(0))
    note = key_file.with_name("territory.granted")
    assert json.loads(note.read_bytes()) == {"docs-a": 2}
    assert note.stat().st_mode & 0o777 == 0o600
