"""No secret is in the repository in clear: no private key, no key of a repository, no paper, no password of ours."""

from __future__ import annotations

import re

import pytest

from tests.unit.repository import files, name

BODY = r"[A-Za-z0-9+/=]{16}"
FOUND = {
    "a private key": re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----\s+" + BODY.encode()),
    "a recovery key": re.compile(rb"AGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]{58}"),
    "a repository's key": re.compile(rb"BORG_KEY [0-9a-f]{64}\n" + BODY.encode()),
    "a password in clear": re.compile(
        rb"^\s*\w*(?:password|passphrase|secret)\w*: *(?!!vault)[\"']?[\w!$%&*-]{6,}", re.M | re.I
    ),
}
MADE_UP = {"tests/unit/escrow/test_paper.py", "tests/unit/escrow/test_paper_key.py"}
"""Papers that open nothing, to be typed wrong."""
PLAIN = (".yml", ".yaml", ".conf", ".cfg", ".j2", ".toml", ".ini")


@pytest.mark.parametrize("what", FOUND)
def test_the_repository_holds_no(what: str) -> None:
    every = [path for path in files() if what != "a password in clear" or path.suffix in PLAIN]
    hits = [name(path) for path in every if FOUND[what].search(path.read_bytes())]
    assert sorted({*hits} - MADE_UP) == []


def test_what_it_looks_for_is_found() -> None:
    samples = {
        "a private key": b"-----BEGIN OPENSSH PRIVATE KEY-----\n" + b"b3BlbnNzaC1rZXktdjEA",
        "a recovery key": b"AGE-SECRET-KEY-1" + b"Q" * 58,
        "a repository's key": b"BORG_KEY " + b"0" * 64 + b"\nhqlhbGdvcml0aG2m" + b"c2hhMjU2",
        "a password in clear": b"smtp_password: hunter22\n",
    }
    assert [what for what, sample in samples.items() if not FOUND[what].search(sample)] == []
    assert not FOUND["a password in clear"].search(b"smtp_password: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n")
