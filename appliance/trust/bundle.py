"""The territory bundle: all that a node needs to know of the territory, signed by the territory key.

It is small, whole and ordered by a serial; a node refuses a lower serial and another signer, so nobody can roll the
territory back or replace it. It holds the territory as planned, where copies are placed and every node's public keys.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance import typed
from appliance.errors import IntegrityError, NotFound, Refused
from appliance.host.files import read_at_once, write_atomic
from appliance.territory import codec, minute_schedules
from appliance.territory.domains import counting_replica_nodes
from appliance.territory.model import Node, Placement, Service, Territory
from appliance.trust import former as formers
from appliance.trust import former_voters as former_voting
from appliance.trust import renamed_services, revocation, signed
from appliance.trust import unconfirmed as unconfirmed_terms
from appliance.trust.act import Operator
from appliance.trust.declared import note_former
from appliance.trust.former import NOBODY, Former, FormerService
from appliance.trust.former_voters import FormerVoters
from appliance.trust.granters import Granters
from appliance.trust.keys import PublicKeys
from appliance.trust.revocation import NOTHING, Revoked
from appliance.trust.signed import SHA256, Document
from appliance.trust.voting import TERM_MAX, Voting, check_term, declared
from appliance.units import GIB

TYPE = "appliance/bundle"
BYTES_MAX = 8 * 1024 * 1024
DAILY_FACTOR = 5
QUOTA_FACTOR = 3


@dataclass(frozen=True)
class Member:
    """A node as its peers reach and recognise it; `user` is the account behind its sshd (`account_for`)."""

    node: Node
    user: str
    keys: PublicKeys

    @property
    def name(self) -> str:
        return self.node.name

    def account_for(self, caller: str) -> str:
        """The account by which `caller` enters here; a `user` such as "vault-" is the beginning of one per caller."""
        return self.user + caller if self.user.endswith("-") else self.user


@dataclass(frozen=True)
class Terms:
    """The agreement for one service: its replica nodes in their order, and how much they take, in bytes."""

    service: Service
    replica_nodes: tuple[str, ...]
    spares: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.service.name

    @property
    def origin(self) -> str:
        return self.service.node

    @property
    def standbys(self) -> tuple[str, ...]:
        return self.service.standbys

    def others(self, node: str) -> tuple[str, ...]:
        """All who hold the service or may come to, in their order, but for `node`."""
        return tuple(peer for peer in (*self.replica_nodes, *self.spares) if peer != node)

    @property
    def quota_bytes(self) -> int:
        """The bytes that all generations of the service may fill at one peer."""
        return quota_of(self.service)

    @property
    def daily_bytes(self) -> int:
        """The bytes that a peer takes in a day: five times the usual change, and never less than 1 GiB."""
        return max(GIB, DAILY_FACTOR * self.service.change_bytes_per_day)

    @property
    def seed_bytes(self) -> int:
        """The bytes that the first seeding may bring in a day: all of the declared size, with a third of margin."""
        return max(self.daily_bytes, self.service.size_bytes * 4 // 3)


def quota_of(service: Service) -> int:
    """The bytes that all generations of `service` may fill at one peer."""
    return service.quota_bytes or QUOTA_FACTOR * service.size_bytes


@dataclass(frozen=True)
class Bundle:
    serial: int
    issued: str
    territory_key: str
    territory: Territory
    placements: Mapping[str, Placement]
    members: Mapping[str, Member]
    recovery: str
    document: Document
    revoked: Revoked = NOTHING
    ca: str = ""
    """SHA-256 of the root certificate whose nodes' certificates are believed; "" where there is none."""
    term: int = 0
    """The term of the voters; each other set of them has a later one (`voting.py`)."""
    confirmed: frozenset[str] = frozenset()
    """Digests of the signed lines of grants by former voters that the key holder keeps good."""
    former: Former = NOBODY
    """The services and replica nodes that left the territory and are still cared for."""
    unconfirmed: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Services of which former voters, of these terms, may have made a grant that nobody showed."""
    former_voters: FormerVoters | None = None
    """Those of the term before; None where they never changed, or a former version signed."""

    @cached_property
    def voting(self) -> Voting:
        """The voters who grant epochs beside the territory key."""
        return Voting(voter_keys(self.territory, self.members), self.term)

    @cached_property
    def signing_keys(self) -> Mapping[str, str]:
        """The key with which each member signs, by its name."""
        return {name: member.keys.sign for name, member in self.members.items()}

    @cached_property
    def granters(self) -> Granters:
        """The signers whose grants are believed by a node on which this bundle is in force."""
        former = self.former_voters.voting if self.former_voters else Voting()
        return Granters(self.territory_key, self.voting, self.confirmed, former)

    @cached_property
    def revoked_nodes(self) -> frozenset[str]:
        """The nodes whose keys were taken back and that have no new ones: gone until a box takes their place."""
        return frozenset(it.node for it in self.revoked.revocations) - self.members.keys()

    def member(self, name: str) -> Member:
        """The node `name` with its keys; raise NotFound for an unknown node."""
        if name not in self.members:
            known = ", ".join(sorted(self.members))
            raise NotFound(f'"{name}" has no keys in the territory bundle.', remedy=f"Known: {known}.")
        return self.members[name]

    def terms(self, service: str) -> Terms:
        """Return the terms of `service`; raise NotFound, naming the known ones or since when it has left."""
        if service not in self.territory.services and (left := self.former.services.get(service)):
            raise NotFound(
                f'the service "{service}" {left.told}: no new generation of it is made or accepted.',
                remedy=f"Its replicas can be restored on {' or '.join(left.trusted)} until its retention ends.",
            )
        placement = self.placements.get(service)
        found = self.territory.service(service)
        return Terms(found, placement.holders if placement else (), placement.spares if placement else ())

    def last_terms(self, service: str) -> Terms:
        """The same, also of a service that left the territory, as agreed last: what is held of it is cared for so."""
        left = self.left(service)
        return Terms(left.service, left.holders, left.spares) if left else self.terms(service)

    def care_terms(self, service: str) -> Terms | None:
        """`last_terms`; None of a service that this bundle does not know."""
        known = service in self.territory.services or service in self.former.services
        return self.last_terms(service) if known else None

    def first_name(self, name: str) -> str:
        """The name of the service that people call `name`, in all that was signed and stored of it."""
        services = {**{it.name: it.service for it in self.former.services.values()}, **self.territory.services}
        return next((it.name for it in services.values() if it.called == name), name)

    def left(self, service: str) -> FormerService | None:
        """Return the record of `service` if it left; None of one that is in the territory, or was never known."""
        return None if service in self.territory.services else self.former.services.get(service)

    def trusted(self, service: str) -> tuple[str, ...]:
        """The nodes that may know the key of `service`, also of one that left; raise NotFound for another."""
        terms = self.last_terms(service)
        return (terms.origin, *terms.standbys)

    def unconfirmed_epoch(self, service: str) -> int:
        """Up to which epoch a grant of `service` may be in force that nobody showed; 0 when there is none."""
        return unconfirmed_terms.last_epoch(self.unconfirmed.get(service, ()))

    def passed_epoch(self, service: str) -> int:
        """The epoch above which the territory key grants: none up to it is to be written any more."""
        return max(self.revoked.ended_epoch(service), self.unconfirmed_epoch(service))

    @cached_property
    def operators(self) -> tuple[Operator, ...]:
        return tuple(Operator(person.name, person.keys, person.may) for person in self.territory.people.values())

    def counted(self, writer: str, holders: tuple[str, ...]) -> tuple[str, ...]:
        """Those of `holders` that count as copies while `writer` writes; a node that left the territory does not."""
        known = [holder for holder in holders if holder in self.territory.nodes]
        return counting_replica_nodes(self.territory, writer, known) if writer in self.territory.nodes else ()


def make_bundle(
    key: Ed25519PrivateKey,
    *,
    serial: int,
    issued: str,
    territory: Territory,
    placements: Mapping[str, Placement],
    members: Mapping[str, Member],
    recovery: str,
    revoked: Revoked = NOTHING,
    ca: str = "",
    term: int = 0,
    confirmed: Collection[str] = (),
    former: Former = NOBODY,
    unconfirmed: Mapping[str, tuple[int, ...]] = MappingProxyType({}),
    former_voters: FormerVoters | None = None,
) -> bytes:
    """The signed bundle; `recovery` is the public half of the recovery key, `issued` a UTC time.

    `term` is `voting.next_term` of what the bundle follows, which passes its `confirmed` on.
    """
    fields = {
        "serial": serial,
        "issued": issued,
        "recovery": recovery,
        "territory": codec.to_json(territory),
        "placements": codec.placements_to_json(placements),
        "nodes": {name: {"user": member.user, "keys": _shown(member.keys)} for name, member in sorted(members.items())},
        **revocation.to_json(revoked),
        **({"ca": ca} if ca else {}),
        **({"term": term} if term else {}),
        **({"confirmed": sorted(confirmed)} if confirmed else {}),
        **unconfirmed_terms.to_json(unconfirmed),
        **former_voting.to_json(former_voters),
        **formers.to_json(former),
        **minute_schedules.to_json(territory.services.values()),
        **renamed_services.to_json((*territory.services.values(), *(it.service for it in former.services.values()))),
    }
    return signed.make(TYPE, fields, key)


def voter_keys(territory: Territory, members: Mapping[str, Member]) -> Mapping[str, str]:
    """The voters that `territory` declares, with their signing keys."""
    return declared(territory, {name: member.keys.sign for name, member in members.items()})


def _shown(keys: PublicKeys) -> dict[str, str]:
    return {name: value for name, value in asdict(keys).items() if value}


def read_bundle(raw: bytes, territory_key: str, *, in_force: bool = False) -> Bundle:
    """The bundle in `raw`, signed by the territory key. One that is `in_force` may hold texts that are refused in a new
    one: a node goes on living by it, and the next one is signed after it."""
    document = signed.read(raw, TYPE, (territory_key,), bytes_max=BYTES_MAX)
    try:
        fields = {**document.fields, **(_legible(document.fields) if in_force else {})}
        names = renamed_services.from_json(fields)
        declared_terms = minute_schedules.with_minutes(codec.from_json(fields["territory"]), fields)
        territory = renamed_services.with_called(declared_terms, names)
        bundle = Bundle(
            serial=document.number("serial", least=1),
            issued=document.text("issued"),
            territory_key=territory_key,
            territory=territory,
            placements=codec.placements_from_json(document.fields["placements"]),
            members=_members(territory, document.fields["nodes"]),
            recovery=str(document.fields["recovery"]),
            document=document,
            revoked=revocation.from_json(document.fields),
            ca=document.text("ca", SHA256) if "ca" in document.fields else "",
            term=document.number("term", most=TERM_MAX) if "term" in document.fields else 0,
            confirmed=_confirmed(document.fields.get("confirmed", [])),
            former=formers.from_json(fields, names),
            unconfirmed=unconfirmed_terms.from_json(fields),
            former_voters=former_voting.from_json(fields, fields.get("term", 0)),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(f"{TYPE}: a field is missing or malformed ({error}).") from error
    for name, member in bundle.members.items():
        bundle.revoked.check(name, member.keys)
    return bundle


def _legible(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: codec.legible(fields[name]) for name in ("territory", "former", "called") if name in fields}


def _confirmed(values: object) -> frozenset[str]:
    if not isinstance(values, list) or not all(isinstance(each, str) and SHA256.fullmatch(each) for each in values):
        raise IntegrityError(f'{TYPE}: field "confirmed" is malformed.')
    return frozenset(values)


def _members(territory: Territory, values: Mapping[str, Any]) -> dict[str, Member]:
    return {
        name: Member(territory.node(name), str(value["user"]), PublicKeys(**value["keys"]))
        for name, value in values.items()
    }


def accept_bundle(path: Path, raw: bytes, territory_key: str) -> Bundle:
    """Take `raw` as this node's bundle at `path`; raise as `check_follows`. The one that is there is not written again:
    a host whose bundle changes looks at all that it is."""
    bundle = read_bundle(raw, territory_key, in_force=path.exists() and path.read_bytes() == raw)
    check_follows(path, bundle, territory_key)
    if not path.exists():
        write_atomic(path, raw)
    elif path.read_bytes() != raw:
        note_former(path.parent, load_bundle(path, territory_key).territory, bundle.territory, bundle.issued)
        write_atomic(path, raw)
    return bundle


def check_follows(path: Path, bundle: Bundle, territory_key: str) -> int:
    """The serial of the bundle at `path` that `bundle` may follow, 0 when there is none. Refuse a lower serial, another
    content for the same one, one that forgets a revocation, and one with other voters in the same term."""
    if not path.exists():
        return 0
    present = load_bundle(path, territory_key)
    same = bundle.document.raw == present.document.raw
    if bundle.serial < present.serial or (bundle.serial == present.serial and not same):
        raise Refused(
            f"bundle {bundle.serial} would replace bundle {present.serial}.",
            remedy=f"Sign the territory again, after the bundle in force: `{typed.SIGN_AGAIN}`.",
        )
    bundle.revoked.check_keeps(present.revoked)
    check_term(bundle.voting, present.voting)
    return present.serial


def load_bundle(path: Path, territory_key: str) -> Bundle:
    """This node's bundle, its signature checked again at each load."""
    try:
        return read_bundle(read_at_once(path), territory_key, in_force=True)
    except FileNotFoundError as error:
        raise NotFound(
            "this node has no territory bundle yet.", where=str(path), remedy="Run `appliance node accept BUNDLE`."
        ) from error
