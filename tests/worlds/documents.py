"""Documents that a small territory signs about its share docs-a: bundles, grants, releases, acts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.territory.model import Placement
from appliance.trust.act import Act
from appliance.trust.bundle import Bundle, Member, make_bundle, read_bundle
from appliance.trust.grant import Grant, make_grant, read_grant
from appliance.trust.keys import PublicKeys, public_line
from appliance.trust.release import Release, make_release, read_release
from appliance.trust.signed import Document
from appliance.trust.voted import read_voted
from tests.worlds.small import node, service, territory
from tests.worlds.voters import KEYS, NAMES, asked, granted, voting

TERRITORY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
HOME, STANDBY, HOLDER = "commune-a", "hermitage", "commune-b"


def bundle(policy: str = "local-first", voters: tuple[str, ...] = NAMES, **fields: Any) -> Bundle:
    """commune-a is the home of docs-a, the hermitage its standby; both, and commune-b, hold it."""
    docs = replace(service("docs-a", HOME, standbys=(STANDBY,)), policy=policy)
    plan = territory([node(name, roles=("voter",) if name in voters else ()) for name in NAMES], [docs])
    said: dict[str, Any] = {"placements": {"docs-a": Placement("docs-a", (STANDBY, HOLDER), ())}, "recovery": ""}
    keys = fields.pop("keys", KEYS)
    members = {
        name: Member(plan.nodes[name], "peer", PublicKeys(public_line(keys[name]), f"ssh {name}", f"host {name}", "a"))
        for name in NAMES
    }
    said |= {"serial": 7, "issued": "2026-11-25T08:00:00Z", "territory": plan, "members": members, **fields}
    return read_bundle(make_bundle(TERRITORY, **said), public_line(TERRITORY))


EXCLUSIVE, LOCAL, MIRROR = bundle("exclusive"), bundle(), bundle("mirror")


def by_key(writer: str = HOME, known_epoch: int = 0, **fields: Any) -> Grant:
    raw = make_grant(TERRITORY, asked(known_epoch, writer, **fields))
    return read_grant(raw, public_line(TERRITORY))


def by_voters(writer: str, known_epoch: int) -> Grant:
    return read_voted(granted(asked(known_epoch, writer), voting()), voting())


FIRST = by_key()


def release(of: Grant = FIRST, key: str = HOME, generation: str = "") -> Release:
    raw = make_release(
        KEYS[key],
        service=of.service,
        epoch=of.epoch,
        holder=of.writer,
        generation=generation,
        reason="moved",
        time="2026-12-01T19:00:00Z",
    )
    return read_release(raw, public_line(KEYS[key]))


def act(kind: str, subject: str, service: str = "docs-a", start: float = 4000, end: float = 6000) -> Act:
    raw = f"{kind} {subject} {service} {start}".encode()
    return Act(kind, subject, service, "maintenance", "test", start, end, Document("appliance/act", {}, "", raw))
