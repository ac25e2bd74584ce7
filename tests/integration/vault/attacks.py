"""Attacks with all of an origin's keys, each in one session of a vault, and the refusal that it must get."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from appliance.errors import ApplianceError, Forbidden, IntegrityError, NoSpace, NotFound, Postponed, Refused
from appliance.trust.generation import Entry
from appliance.trust.grant import make_grant, make_request, read_grant, read_request
from appliance.trust.keys import create_key, load_key, public_line
from appliance.units import GIB, MIB
from tests.integration.vault.siege import SERVICE, Session, Siege
from tests.worlds.vaults import ask, offer, push


@dataclass(frozen=True)
class Attack:
    """An attack in a session, the error it ends with, and a part of its sentence."""

    do: Callable[[Siege, Session], Any]
    error: type[ApplianceError]
    sentence: str


def _ask(verb: str, service: str = SERVICE, **details: Any) -> Callable[[Siege, Session], Any]:
    def do(siege: Siege, session: Session) -> Any:
        ask(session.channel, verb, service, **details)
        return session.channel.read_frame()

    return do


def _push(make: Callable[[Siege], Any], **details: Any) -> Callable[[Siege, Session], Any]:
    return lambda siege, session: push(session.channel, make(siege), details=details or None)


def _send_raw(data: bytes) -> Callable[[Siege, Session], Any]:
    def do(siege: Siege, session: Session) -> Any:
        session.channel.write(data)
        return session.channel.read_frame()

    return do


def _send(data: bytes) -> Callable[[Siege, Session], Any]:
    return _send_raw(len(data).to_bytes(4, "big") + data)


def _push_other_bytes(siege: Siege, session: Session) -> Any:
    offer(session.channel, siege.forge({"data/0/9": b"honest" * 100}))
    assert session.channel.read_frame()["need"]
    session.channel.write(b"hostil" + b"honest" * 99)
    return session.channel.read_frame()


def _entries(count: int, size: int, start: int = 0) -> tuple[Entry, ...]:
    return tuple(Entry(f"data/0/{n}", f"{n:064x}", size) for n in range(start, start + count))


def claims(count: int, size: int) -> Callable[[Siege], Any]:
    """A generation whose list promises files that nobody has to send: what counts is that none is waited for."""
    return lambda siege: siege.forge({}, _entries(count, size))


def _self_granted(siege: Siege, session: Session) -> Any:
    """An epoch granted by a territory key of the attacker's own."""
    create_key(siege.stolen.layout.root / "own_territory_ed25519")
    key = load_key(siege.stolen.layout.root / "own_territory_ed25519")
    node_key = load_key(siege.stolen.signing_key)
    request = make_request(
        node_key, service=SERVICE, repository="ab" * 32, writer="commune-a", known_epoch=2, reason="mine"
    )
    grant = read_grant(make_grant(key, read_request(request, public_line(node_key))), public_line(key))
    return push(session.channel, siege.forge({"config": b"x"}, epoch=4, sequence=1), [grant])


def _rewritten(siege: Siege) -> Any:
    """Other content under the newest generation's very header."""
    newest = siege.newest.header
    other = siege.forge({"config": b"ransom"}, sequence=newest.sequence, previous=newest.previous, time=newest.time)
    return replace(other, header=newest)


ATTACKS: dict[str, Attack] = {
    "delete": Attack(_ask("delete"), Refused, "a vault does not know this request"),
    "prune": Attack(_ask("prune"), Refused, "a vault does not know this request"),
    "thin": Attack(_ask("thin"), Refused, "a vault does not know this request"),
    "rename": Attack(_ask("rename"), Refused, "a vault does not know this request"),
    "climb out of the holding": Attack(_ask("head", "../../keys"), Refused, "a vault does not know this request"),
    "look at the vault's own service": Attack(_ask("head", "docs-z"), NotFound, 'no service "docs-z"'),
    "relay as if a holder": Attack(_ask("put-relayed"), Forbidden, 'may not "put-relayed" docs-a here'),
    "get what holders get": Attack(_ask("get"), Forbidden, 'may not "get" docs-a here'),
    "get another generation's folder": Attack(
        _ask("get-own", generation="../../../keys"), NotFound, "has no such generation here"
    ),
    "speak tomorrow's protocol": Attack(
        _send(json.dumps({"appliance": 9, "verb": "head", "service": SERVICE}).encode()),
        Refused,
        "this vault speaks protocol 1",
    ),
    "rewrite the newest generation": Attack(_push(_rewritten), IntegrityError, "is not the one that its header signs"),
    "skip ahead": Attack(
        _push(lambda siege: siege.forge({"config": b"x"}, sequence=9_999_999_999)),
        IntegrityError,
        "generation 2.9999999999 cannot come after 2.2",
    ),
    "invent an epoch": Attack(
        _push(lambda siege: siege.forge({"config": b"x"}, epoch=65_534, sequence=1)),
        Refused,
        "there is no grant of epoch 65534",
    ),
    "grant itself an epoch": Attack(_self_granted, Refused, "appliance/grant is signed by a key that may not sign it"),
    "name files outside a repository": Attack(
        _push(lambda siege: siege.forge({"../../../.ssh/authorized_keys": b"x"})),
        IntegrityError,
        "is not a file of a repository",
    ),
    "name a lock": Attack(
        _push(lambda siege: siege.forge({"lock.exclusive": b"x"})),
        IntegrityError,
        "is not a file of a repository",
    ),
    "send what its list does not say": Attack(
        _push_other_bytes, IntegrityError, "the received file data/0/9 does not match the hash in the list"
    ),
    "overfill the quota": Attack(_push(claims(1, 2 * GIB)), NoSpace, "the quota at this peer is full"),
    "overfill the day": Attack(
        _push(claims(1, 1200 * MIB)), Postponed, "this peer takes 1 GiB of this service in a day"
    ),
    "overflow the numbers": Attack(_push(claims(900, 10**15 - 1)), NoSpace, "the quota at this peer is full"),
    "flood it with inodes": Attack(_push(claims(75_000, 1)), NoSpace, "more than a regular service makes"),
    "flood it with headers": Attack(
        _push(claims(1, 1), headers=["x"] * 20_001), NoSpace, "20001 headers in one push are more"
    ),
    "flood it with lists": Attack(
        _push(claims(1, 1), list_bytes=17 * MIB), IntegrityError, "a push comes with a list of at most 16777216 bytes"
    ),
    "flood it with one frame": Attack(_send_raw(b"\xff" * 4), IntegrityError, "is more than the 16777216 allowed"),
    "fill its memory with brackets": Attack(
        _send(b'{"a":[' + b"[]," * (8 * MIB // 3) + b"0]}"), IntegrityError, "a frame has more parts"
    ),
    "make it prove for ever": Attack(
        _ask("prove", challenge="ab" * 32, blobs=["cd" * 32] * 65), IntegrityError, "at most 64 blobs"
    ),
}
