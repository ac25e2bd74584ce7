"""A small territory on one desk: nodes with real keys and simulated clocks, made-up generations, sessions in a thread.

commune-a is the origin of docs-a, hermitage its standby and first holder, commune-b the blind second holder, commune-c
the spare; commune-d has nothing to do with it and docs-d of its own; watch is the monitor.
"""

from __future__ import annotations

import copy
import json
import os
import shutil
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.backup.vault.evidence import read_evidence
from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.session import REQUEST_BYTES_MAX, serve
from appliance.backup.vault.store import Replica
from appliance.backup.vault.wire import PROTOCOL, Channel
from appliance.clock import SimulatedClock, utc_text
from appliance.host.files import sha256_file
from appliance.host.layout import NodeLayout
from appliance.node.handle import Node, open_node
from appliance.territory.model import Person, Placement, Service
from appliance.trust.act import ACTS, make_act
from appliance.trust.bundle import Member, accept_bundle, make_bundle, voter_keys
from appliance.trust.former import Former, FormerReplicaNode, FormerService
from appliance.trust.generation import NO_PARENT, Entry, Header, make_header, read_header, render_list
from appliance.trust.grant import Grant, make_grant, make_request, read_grant, read_request
from appliance.trust.identity import create_identity
from appliance.trust.keys import create_key, load_key, public_line, read_public_keys
from appliance.trust.revocation import NOTHING, Revoked
from appliance.trust.signed import digest_of
from appliance.trust.voted import assemble, read_voted, statement, vote
from appliance.trust.voting import Voting, next_term
from appliance.units import DAY, GIB, MIB
from tests.worlds.small import node as plan_node
from tests.worlds.small import service as plan_service
from tests.worlds.small import territory as plan_territory

SERVICE = "docs-a"
ORIGIN, STANDBY, HOLDER, SPARE, OUTSIDER, MONITOR = NAMES = (
    "commune-a",
    "hermitage",
    "commune-b",
    "commune-c",
    "commune-d",
    "watch",
)
TIME = "2026-11-25T08:00:00Z"
REPOSITORY = "ab" * 32


@dataclass(frozen=True)
class Generation:
    """One sealed generation of made-up files: what its writer would push."""

    header: Header
    listing: bytes
    entries: tuple[Entry, ...]
    blobs: Mapping[str, bytes]

    @property
    def name(self) -> str:
        return self.header.id.name

    @property
    def text(self) -> str:
        return self.header.document.raw.decode()


@dataclass
class VaultWorld:
    """`root` holds one state folder a node, the territory key and the operator's; call `create` once, or copy one."""

    root: Path
    quota_bytes: int = GIB
    size_bytes: int = 100 * MIB
    change_bytes: int = 10 * MIB
    lock_seconds: int = 30 * DAY
    serial: int = 0
    revoked: Revoked = NOTHING
    voters: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    """Nodes whose keys the bundle does not have."""
    confirmed: tuple[str, ...] = ()
    voting: Voting | None = None
    clocks: dict[str, SimulatedClock] = field(default_factory=lambda: {name: SimulatedClock() for name in NAMES})
    placed: tuple[str, ...] = (STANDBY, HOLDER)
    spares: tuple[str, ...] = (SPARE,)
    former_holders: tuple[str, ...] = ()
    """Nodes that held docs-a in an earlier bundle."""
    left: bool = False
    """Whether docs-a left the territory; the bundle that says so first is `left_in`."""
    left_in: int = 0
    remembered: bool = True
    exit_code: int = -1
    """How the last session ended."""

    @property
    def territory_key(self) -> Path:
        return self.root / "territory_ed25519"

    @property
    def operator_key(self) -> Path:
        return self.root / "operator_ed25519"

    def create(self) -> VaultWorld:
        """Make every key and node, with a first bundle."""
        self.root.mkdir()
        public, _ = create_key(self.territory_key), create_key(self.operator_key)
        for name in NAMES:
            create_identity(self.layout(name), name, public)
        self.sign()
        return self

    def copy(self, root: Path) -> VaultWorld:
        """The same desk once more, at the same moment, under `root`."""
        shutil.copytree(self.root, root)
        return replace(self, root=root, clocks=copy.deepcopy(self.clocks))

    def sign(self, **terms: Any) -> None:
        """Sign the bundle again, with other terms when given, and hand it to every node."""
        for name, value in terms.items():
            setattr(self, name, value)
        self.serial += 1
        self.left_in = (self.left_in or self.serial) if self.left else 0
        plan = self._plan()
        names = [name for name in NAMES if name not in self.gone]
        members = {name: Member(plan.nodes[name], "peer", read_public_keys(self.layout(name).keys)) for name in names}
        keys = voter_keys(plan, members)
        self.voting = Voting(keys, next_term(self.voting, keys))
        raw = make_bundle(
            load_key(self.territory_key),
            serial=self.serial,
            issued=TIME,
            territory=plan,
            placements={
                **({} if self.left else {SERVICE: Placement(SERVICE, self.placed, self.spares)}),
                "docs-d": Placement("docs-d", (HOLDER,), ()),
            },
            members=members,
            recovery="",
            revoked=self.revoked,
            term=self.voting.term,
            confirmed=self.confirmed,
            former=self._former(),
        )
        for name in NAMES:
            accept_bundle(self.layout(name).bundle, raw, public_line(load_key(self.territory_key)))

    def _former(self) -> Former:
        entry = FormerService(self._docs(), (STANDBY, HOLDER), (SPARE,), self.left_in, TIME)
        holders = (
            FormerReplicaNode(SERVICE, name, self.quota_bytes, self.serial, TIME) for name in self.former_holders
        )
        return Former({SERVICE: entry} if self.left and self.remembered else {}, tuple(holders))

    def _docs(self) -> Service:
        return replace(
            plan_service(SERVICE, ORIGIN, standbys=(STANDBY,)),
            quota_bytes=self.quota_bytes,
            size_bytes=self.size_bytes,
            change_bytes_per_day=self.change_bytes,
            lock_seconds=self.lock_seconds,
        )

    def _plan(self) -> Any:
        public = public_line(load_key(self.operator_key))
        plan = plan_territory(
            [plan_node(name, roles=self._roles(name)) for name in NAMES],
            [*([] if self.left else [self._docs()]), plan_service("docs-d", OUTSIDER)],
        )
        person = Person("keeper", "Keeper", (public,), ACTS)
        return replace(plan, people={"keeper": person})

    def _roles(self, name: str) -> tuple[str, ...]:
        return (("monitor",) if name == MONITOR else ()) + (("voter",) if name in self.voters else ())

    def layout(self, name: str) -> NodeLayout:
        return NodeLayout(self.root / name)

    def open(self, name: str) -> Node:
        return open_node(self.layout(name).root, self.clocks[name])

    def holding(self, name: str) -> Replica:
        return replica_of(self.open(name), SERVICE)

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass at every node."""
        for clock in self.clocks.values():
            clock.advance(seconds)

    def grant(
        self, writer: str = ORIGIN, known_epoch: int = 0, service: str = SERVICE, repository: str = REPOSITORY
    ) -> Grant:
        """The next grant for `writer`, signed by the territory key."""
        key = load_key(self.layout(writer).keys / "sign_ed25519")
        asked = make_request(
            key, service=service, repository=repository, writer=writer, known_epoch=known_epoch, reason="test"
        )
        territory_key = load_key(self.territory_key)
        return read_grant(make_grant(territory_key, read_request(asked, public_line(key))), public_line(territory_key))

    def voted(self, signers: Sequence[str], writer: str = STANDBY, known_epoch: int = 2, **fields: str) -> Grant:
        """The next grant for `writer` by the voters of the last bundle, signed by `signers`; nobody checked it."""
        assert self.voting is not None
        key = self.signing_key(writer)
        said = {"service": SERVICE, "repository": REPOSITORY, "reason": "test", **fields}
        asked = make_request(key, writer=writer, known_epoch=known_epoch, **said)
        line = statement(read_request(asked, public_line(key)), self.voting)
        raw = assemble(line, [vote(self.signing_key(name), line) for name in signers])
        return read_voted(raw, self.voting, accepted=[digest_of(line)])

    def signing_key(self, name: str) -> Ed25519PrivateKey:
        return load_key(self.layout(name).keys / "sign_ed25519")

    def seal(
        self, grant: Grant, files: Mapping[str, bytes], after: Generation | None = None, **fields: Any
    ) -> Generation:
        """A generation of `files` after another one, signed by the grant's writer; `fields` replace what it says."""
        entries = tuple(Entry(path, digest_of(data), len(data)) for path, data in files.items())
        listing = render_list(entries)
        key = load_key(self.layout(grant.writer).keys / "sign_ed25519")
        same_epoch = after is not None and after.header.epoch == grant.epoch
        said: dict[str, Any] = {
            "service": grant.service,
            "epoch": grant.epoch,
            "sequence": after.header.sequence + 1 if after and same_epoch else 1,
            "previous": after.header.id.digest if after else NO_PARENT,
            "time": TIME,
        }
        raw = make_header(key, **{**said, **fields}, listing=listing, entries=entries)
        return Generation(
            read_header(raw, public_line(key)), listing, entries, {digest_of(data): data for data in files.values()}
        )

    def chain(self, grant: Grant, count: int, after: Generation | None = None) -> list[Generation]:
        """`count` generations in a row: one file that stays and one that is new in each."""
        made: list[Generation] = []
        for number in range(count):
            files = {
                "config": b"config",
                "data/0/0": b"stays" * 50,
                f"data/0/{number + 1}": f"{grant.epoch} {number}".encode() * 40,
            }
            made.append(self.seal(grant, files, made[-1] if made else after))
        return made

    @contextmanager
    def session(self, at: str, caller: str, *, quiet_seconds: float = 20) -> Iterator[Channel]:
        """A client's channel to the vault of `at`, which serves `caller` in a thread until the client closes."""
        (there_in, here_out), (here_in, there_out) = os.pipe(), os.pipe()
        vault = Channel(there_in, there_out, quiet_seconds=quiet_seconds, frame_bytes_max=REQUEST_BYTES_MAX)

        def run() -> None:
            try:
                self.exit_code = serve(self.open(at), caller, vault)
            finally:
                os.close(there_out)
                os.close(there_in)

        thread = threading.Thread(target=run, name=at)
        thread.start()
        client = Channel(here_in, here_out, quiet_seconds=20)
        try:
            yield client
        finally:
            os.close(here_out)
            thread.join()
            os.close(here_in)

    def put(
        self,
        generation: Generation,
        *grants: Grant,
        at: str = HOLDER,
        caller: str = ORIGIN,
        before: Sequence[Generation] = (),
    ) -> str:
        """Push one generation, with the headers `before` it, in a session of its own; its receipt."""
        with self.session(at, caller) as channel:
            return push(channel, generation, grants, before)

    def act(
        self,
        act: str,
        subject: str,
        *,
        service: str = SERVICE,
        days: float = 30,
        start: float | None = None,
        **details: str | int,
    ) -> bytes:
        """The keeper's signed act, in force from the present of the holder's wall clock."""
        start = self.clocks[HOLDER].now() if start is None else start
        fields: dict[str, str | int] = {
            "act": act,
            "subject": subject,
            "service": service,
            "operator": "keeper",
            "reason": "test",
            "start": utc_text(start),
            "end": utc_text(start + days * DAY),
            **details,
        }
        return make_act(fields, self.operator_key)


def ask(channel: Channel, verb: str, service: str = SERVICE, **details: Any) -> None:
    send_frame(channel, {"appliance": PROTOCOL, "verb": verb, "service": service, **details})


def send_frame(channel: Channel, frame: Any) -> None:
    """Any JSON as a frame, half characters included, which our own channel would not write."""
    data = json.dumps(frame).encode()
    channel.write(struct.pack(">I", len(data)) + data)


def head(channel: Channel, service: str = SERVICE) -> dict[str, Any]:
    ask(channel, "head", service)
    return channel.read_frame()


def push(
    channel: Channel,
    generation: Generation,
    grants: Sequence[Grant] = (),
    before: Sequence[Generation] = (),
    *,
    verb: str = "put",
    details: Mapping[str, Any] | None = None,
) -> str:
    """Push `generation` and answer what the vault asks for; return its receipt, raise its refusal.

    `details` replace parts of the request.
    """
    offer(channel, generation, grants, before, verb=verb, details=details)
    while True:
        answer = channel.read_frame()
        if "receipt" in answer:
            return str(answer["receipt"])
        for digest, offset in answer["need"]:
            channel.write(generation.blobs[digest][offset:])


def offer(
    channel: Channel,
    generation: Generation,
    grants: Sequence[Grant] = (),
    before: Sequence[Generation] = (),
    *,
    verb: str = "put",
    details: Mapping[str, Any] | None = None,
) -> None:
    """The first half of a push: all but the blobs."""
    said = {
        "grants": [grant.document.raw.decode() for grant in grants],
        "headers": [it.text for it in (*before, generation)],
        "list_bytes": len(generation.listing),
    }
    ask(channel, verb, generation.header.service, **{**said, **(details or {})})
    channel.write(generation.listing)


def assert_whole(vaults: VaultWorld, at: str = HOLDER) -> list[str]:
    """Every generation that the vault of `at` claims is whole, bit by bit; their names, oldest first."""
    node = vaults.open(at)
    replica = replica_of(node, SERVICE)
    held = [item.name for item in replica.stored() if item.held]
    named: set[str] = set()
    for name in held:
        evidence = read_evidence(node, replica, name)
        assert not evidence.wrong, (name, evidence.wrong)
        assert evidence.entries is not None
        named |= {entry.sha256 for entry in evidence.entries}
    for digest in named:
        assert sha256_file(replica.blob(digest)) == digest
    return held
