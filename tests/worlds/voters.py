"""Voters for tests: keys by name, who each asks, and grants that as many as wanted sign."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.trust import signed
from appliance.trust.grant import GrantRequest, make_request, read_request
from appliance.trust.keys import public_line
from appliance.trust.voted import TYPE, assemble, statement, vote
from appliance.trust.voting import Voting

NAMES = ("commune-a", "commune-b", "commune-c", "commune-d", "hermitage")
KEYS = {name: Ed25519PrivateKey.from_private_bytes(bytes([number] * 32)) for number, name in enumerate(NAMES, 1)}
OUTSIDER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
REPOSITORY = "ab" * 32


def voting(names: Sequence[str] = NAMES, term: int = 0) -> Voting:
    return Voting({name: public_line(KEYS[name]) for name in names}, term)


def asked(known_epoch: int = 2, writer: str = "hermitage", **fields: Any) -> GrantRequest:
    """The signed request of `writer`, read."""
    said = {"service": "docs-a", "repository": REPOSITORY, "reason": "test", **fields}
    raw = make_request(KEYS[writer], writer=writer, known_epoch=known_epoch, **said)
    return read_request(raw, public_line(KEYS[writer]))


def granted(
    request: GrantRequest, by: Voting, signers: Sequence[str] = ("commune-a", "commune-b", "commune-c"), **said: Any
) -> bytes:
    """The grant of `request` that `signers` sign; `said` replaces what its line says."""
    line = statement(request, by)
    if said:
        fields = {**signed.parse(line, TYPE), **said}
        line = signed.body(TYPE, {name: value for name, value in fields.items() if name not in ("type", "format")})
    return assemble(line, [vote(KEYS[name], line) for name in signers])
