"""Every signed document is refused that is malformed, not signed by its content, signed by an unknown key, or of a
format of tomorrow."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import ApplianceError, IntegrityError, Refused
from appliance.trust import signed, sshsig
from appliance.trust.keys import public_line

TYPE = "appliance/test"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = public_line(KEY)
OUTSIDER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
GOOD = signed.make(TYPE, {"service": "docs-a", "epoch": 2}, KEY)


def _signed(line: bytes, type_: str = TYPE) -> bytes:
    """Anything, truly signed: what somebody with a right key could send."""
    return line + sshsig.sign(KEY, type_, line)


def _with(**fields: Any) -> bytes:
    return _signed(json.dumps({"type": TYPE, "format": 1, **fields}).encode() + b"\n")


BAD: dict[str, tuple[bytes, type[ApplianceError], str]] = {
    "nothing": (b"", IntegrityError, "is cut short"),
    "no end of line": (GOOD.split(b"\n")[0], IntegrityError, "is cut short"),
    "no signature": (GOOD.split(b"\n")[0] + b"\n", IntegrityError, "there is no SSH signature"),
    "a cut signature": (GOOD[:-10], IntegrityError, "there is no SSH signature"),
    "bytes after it": (GOOD + b"x", IntegrityError, "there is no SSH signature"),
    "a changed field": (GOOD.replace(b"docs-a", b"docs-b"), IntegrityError, "does not match its content"),
    "a space more": (GOOD.replace(b'": ', b'":  ', 1), IntegrityError, "does not match its content"),
    "a line before": (b"\n" + GOOD, IntegrityError, "there is no SSH signature"),
    "signed as another type": (
        _signed(GOOD.split(b"\n")[0] + b"\n", "appliance/other"),
        IntegrityError,
        "the signature is for 'appliance/other'",
    ),
    "by another key": (
        signed.make(TYPE, {"a": 1}, OUTSIDER),
        Refused,
        "signed by a key that may not sign it (SHA256:",
    ),
    "of another type": (_signed(b'{"type": "appliance/other", "format": 1}\n'), IntegrityError, "this is not " + TYPE),
    "of no type": (_signed(b'{"format": 1}\n'), IntegrityError, "this is not " + TYPE),
    "of tomorrow's format": (_with(format=2), Refused, "has format 2; this version reads format 1"),
    "of format true": (_with(format=True), Refused, "has format True"),
    "of format one in text": (_with(format="1"), Refused, "has format '1'"),
    "of no format": (_signed(b'{"type": "appliance/test"}\n'), Refused, "has format None"),
    "a list": (_signed(b"[1]\n"), IntegrityError, "this is not " + TYPE),
    "a number": (_signed(b"1\n"), IntegrityError, "this is not " + TYPE),
    "not JSON": (_signed(b"{type: test}\n"), IntegrityError, "is not readable JSON"),
    "not UTF-8": (_signed(b'{"type": "\xff"}\n'), IntegrityError, "is not readable JSON"),
    "a name twice": (
        _signed(b'{"type": "appliance/test", "format": 1, "epoch": 2, "epoch": 4}\n'),
        IntegrityError,
        "is not readable JSON",
    ),
    "a name twice within": (
        _signed(b'{"type": "appliance/test", "format": 1, "a": {"b": 2, "b": 4}}\n'),
        IntegrityError,
        "is not readable JSON",
    ),
    "a fraction": (
        _signed(b'{"type": "appliance/test", "format": 1.0}\n'),
        IntegrityError,
        "is not readable JSON",
    ),
    "a number without end": (
        _signed(b'{"type": "appliance/test", "format": 1, "n": ' + b"9" * 5000 + b"}\n"),
        IntegrityError,
        "is not readable JSON",
    ),
    "an abyss of brackets": (_signed(b"[" * 6000 + b"\n"), IntegrityError, "is not readable JSON"),
    "too long": (_with(a="x" * 20_000), IntegrityError, "more than the 16384 allowed"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_document_that_does_not_hold_is_refused(name: str) -> None:
    raw, error, sentence = BAD[name]
    with pytest.raises(ApplianceError) as caught:
        signed.read(raw, TYPE, (PUBLIC,))
    assert type(caught.value) is error
    assert sentence in caught.value.what


def test_a_document_is_read_as_it_was_made() -> None:
    document = signed.read(GOOD, TYPE, ("ssh-ed25519 other", PUBLIC))
    assert document.signer == PUBLIC
    assert document.text("service", signed.NAME) == "docs-a"
    assert document.number("epoch", least=2, most=2) == 2
    assert document.raw == GOOD
    assert document.digest == signed.digest_of(GOOD)


def test_two_stock_programs_take_it_apart(tmp_path: Path) -> None:
    path = tmp_path / "document"
    path.write_bytes(GOOD)
    (tmp_path / "allowed").write_text(f"signer {PUBLIC}\n")
    line = subprocess.run(("head", "-n", "1", path), capture_output=True, check=True).stdout
    (tmp_path / "sig").write_bytes(subprocess.run(("tail", "-n", "+2", path), capture_output=True, check=True).stdout)
    words = ("ssh-keygen", "-Y", "verify", "-f", "allowed", "-I", "signer", "-n", TYPE, "-s", "sig")
    assert subprocess.run(words, input=line, cwd=tmp_path, capture_output=True, check=False).returncode == 0
    assert json.loads(line)["service"] == "docs-a"


@pytest.mark.parametrize("value", [None, "", 5, True, ["a"], {"a": 1}, "Docs", "a/b", "-a", "a\n", "a" * 64, "é"])
def test_a_name_has_one_form(value: object) -> None:
    document = signed.read(_with(name=value), TYPE, (PUBLIC,))
    with pytest.raises(IntegrityError, match='field "name" is missing or malformed'):
        document.text("name", signed.NAME)


@pytest.mark.parametrize("value", [None, "2", True, False, [2], 1, 11, -5, 2**70])
def test_a_number_is_whole_and_within_its_range(value: object) -> None:
    document = signed.read(_with(number=value), TYPE, (PUBLIC,))
    with pytest.raises(IntegrityError, match='field "number" is missing or out of range'):
        document.number("number", least=2, most=10)


def test_half_a_character_is_refused() -> None:
    """It has a form in JSON and none in bytes: to check or print it would fail without a sentence."""
    with pytest.raises(IntegrityError, match="not readable JSON"):
        signed.parse(b'{"type": "appliance/receipt", "format": 1, "peer": "\\ud800"}\n', "appliance/receipt")


def test_a_missing_field_is_said_so() -> None:
    document = signed.read(GOOD, TYPE, (PUBLIC,))
    reads: tuple[Callable[[str], object], ...] = (document.text, document.number)
    for read in reads:
        with pytest.raises(IntegrityError, match='field "nothing" is missing'):
            read("nothing")


@given(st.binary(max_size=400))
def test_any_signed_line_is_read_or_refused_with_a_sentence(line: bytes) -> None:
    with suppress(ApplianceError):
        signed.read(_signed(line.replace(b"\n", b"") + b"\n"), TYPE, (PUBLIC,))


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(min_size=1, max_size=8).filter(lambda name: name not in ("type", "format")), _VALUES))
def test_whatever_is_made_is_read_back(fields: dict[str, Any]) -> None:
    try:
        raw = signed.make(TYPE, fields, KEY)
    except UnicodeEncodeError:
        return  # half a character: nothing of ours makes one
    assert signed.read(raw, TYPE, (PUBLIC,)).fields == {"type": TYPE, "format": 1, **fields}


def test_a_fingerprint_is_the_one_ssh_keygen_prints(tmp_path: Path) -> None:
    (tmp_path / "key.pub").write_text(PUBLIC + "\n")
    shown = subprocess.run(
        ("ssh-keygen", "-l", "-f", "key.pub"), cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert signed.fingerprint(PUBLIC) == shown.stdout.split()[1]
