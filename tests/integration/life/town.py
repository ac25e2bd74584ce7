"""The voters of a life and the key holder: who grants each epoch, through every change of who votes and of the plan.

Signatures, brokers' decisions, papers, what the signer confirms and what follows a bundle are the product's own. What a
box kept goes with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.backup.vault.limits import Limits
from appliance.clock import utc_text
from appliance.config.collected import Collected
from appliance.errors import ApplianceError, Refused
from appliance.failover.documents import SignedDocuments
from appliance.failover.votes import Round, above_next
from appliance.territory.model import Placement, Service
from appliance.territory.quorum import VOTER
from appliance.trust.act import Act
from appliance.trust.bundle import Bundle, Member, make_bundle, read_bundle, voter_keys
from appliance.trust.grant import Grant, GrantRequest, make_grant, make_request, read_request
from appliance.trust.keys import PublicKeys, public_line
from appliance.trust.release import make_release
from appliance.trust.signed import Document
from appliance.trust.voted import assemble, statement, vote
from appliance.trust.voting import next_term
from appliance.units import GIB
from appliance.voter.grant_rules import Signs, View
from appliance.voter.promises import Promised
from tests.integration.life.rules import Rules
from tests.integration.life.world import BLIND, HOLDING, HOME, NOW, OTHER, SERVICE, SPARE, STANDBY
from tests.worlds.small import node, territory

LATER_NAMES = ("courrier", "dossiers", "papiers")
REPOSITORY = "ab" * 32
NAMES = (*HOLDING, "commune-e")
LENDING = (STANDBY, BLIND, SPARE, OTHER)
FIRST_VOTERS = NAMES[:5]
LEASE_SECONDS = 15.0
OFFERED_GIB = 1_000_000
"""Much, since quotas are raised for years; that places fill up is played elsewhere."""
ROUNDS = 3
"""The rounds of asking, as a node does until it is granted; brokers that had signed another line sign for a later
epoch."""


@lru_cache(1024)
def key_of(name: str, machine: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"{name} {machine}".encode()).digest())


TERRITORY_KEY = key_of("territory", 0)


def _member(name: str, machine: int) -> Member:
    keys = PublicKeys(public_line(key_of(name, machine)), f"ssh {name}", f"host {name}", "age")
    return Member(node(name), "peer", keys)


def _lent(name: str, but: str = "") -> int:
    return OFFERED_GIB if name in LENDING and name != but else 0


@lru_cache
def _first_bundle(service: Service) -> Bundle:
    nodes = [node(it, offered=_lent(it), roles=(VOTER,) if it in FIRST_VOTERS else ()) for it in NAMES]
    plan = territory(nodes, [service])
    raw = make_bundle(
        TERRITORY_KEY,
        serial=1,
        issued="2026-01-01T08:00:00Z",
        territory=plan,
        placements={SERVICE: Placement(SERVICE, (STANDBY, BLIND), (SPARE, OTHER))},
        members={name: _member(name, 0) for name in NAMES},
        recovery="",
    )
    return read_bundle(raw, public_line(TERRITORY_KEY))


class Town:
    """`file`: the plan as territory.yml has it, the service under its name there, and what it `was`. `kept`: by node,
    by epoch, the grants that it judged and keeps. `chain`: the epochs of which something came. `by_key_until`: the
    highest epoch noted beside the territory key. `replaced`: what the brokers that signed last took for the newest
    epoch. `time`: seconds UTC on the key holder's clock, which is right."""

    def __init__(self, rules: Rules, service: Service, time: Callable[[], float]) -> None:
        self.rules, self.bundle, self.time = rules, _first_bundle(service), time
        self.file, self.was = self.bundle.territory, dict[str, str]()
        self.acts: tuple[Act, ...] = ()
        self._judged: tuple[int, tuple[Act, ...]] = (0, ())
        self._limits: dict[str, Limits] = {}
        self._aimed, self._aims = (0, ""), tuple[str, ...]()
        self.machines = dict.fromkeys(NAMES, 0)
        self.kept: dict[str, dict[int, bytes]] = {name: {} for name in NAMES}
        self.promised = dict.fromkeys(NAMES, Promised())
        self.chain: dict[int, bytes] = {}
        self.highest = self.by_key_until = 0
        self.replaced: set[int] = set()
        self.earlier: list[Bundle] = []
        self.unknown = False
        self.present = self.by_key(HOME)
        for name in HOLDING:
            self.takes(name)

    # Grants

    def grant(self, asker: str, released: bool) -> Grant | None:
        """The voters' grant to `asker` of what the writer released, or what a person promoted; None where they decline:
        `present` stays."""
        papers, above, voting = [*self._papers(), *([self._release()] if released else [])], 0, self.bundle.voting
        known = self._request(asker).known_epoch
        for number in range(1, ROUNDS + 1):
            request = self._request(asker, above)
            line = statement(request, voting)
            self.replaced.clear()
            votes = [self._vote(name, request, papers, line, not released) for name in voting.keys]
            if len(signed := [it for it in votes if it]) >= voting.needed:
                return self._begin(asker, assemble(line, signed))
            promised = [self.promised[name].highest for name, it in zip(voting.keys, votes, strict=True) if not it]
            above = above_next(Round(None, {}, len(votes), promised), known, number, voting)
        return None

    def by_key(self, asker: str) -> Grant:
        """The key holder's way, which is always there."""
        above = max(self.by_key_until, self.bundle.passed_epoch(SERVICE))
        grant = self._begin(asker, make_grant(TERRITORY_KEY, self._request(asker), above=above))
        self.by_key_until = grant.epoch
        return grant

    def _begin(self, asker: str, raw: bytes) -> Grant:
        self.present = self.bundle.granters.read(raw)
        self.highest = max(self.highest, self.present.epoch)
        self.kept[asker][self.present.epoch] = raw
        return self.present

    def _request(self, asker: str, above: int = 0) -> GrantRequest:
        known = [raw for name in HOLDING for raw in self._newest(name)]
        believed = [it.epoch for raw in known if (it := self._read(asker, raw))]
        key = key_of(asker, self.machines[asker])
        said = {"service": SERVICE, "repository": REPOSITORY, "writer": asker, "reason": "a life"}
        return read_request(make_request(key, known_epoch=max(above, *believed, 0), **said), public_line(key))

    def _vote(self, name: str, request: GrantRequest, shown: list[bytes], line: bytes, promoted: bool) -> bytes | None:
        documents = SignedDocuments(lambda _: self.bundle.granters.keeping(self.kept[name].values()), tuple)
        documents.take([*shown, *self._newest(name)])
        document = Document("appliance/act", {}, "", f"promote {request.writer} {self.present.epoch}".encode())
        act = Act("promote", request.writer, SERVICE, "team", "lost", 0, 2 * NOW, document)
        answer = self.rules.votes(
            View(
                voter=name,
                bundle=self.bundle,
                request=request,
                present=documents.grants.get(SERVICE),
                heard=set(HOLDING),
                promised=self.promised[name],
                lease_seconds=LEASE_SECONDS,
                now=NOW,
                time=NOW,
                release=documents.releases.get(SERVICE),
                acts=(act,) if promoted else (),
                unbelieved=documents.unbelieved.get(SERVICE, (0, ""))[1],
            )
        )
        if not isinstance(answer, Signs) or answer.line != line:
            return None
        self.promised[name] = answer.promised
        self.replaced.add(answer.promised.present)
        return vote(key_of(name, self.machines[name]), line)

    def _papers(self) -> list[bytes]:
        return list(dict.fromkeys(raw for name in HOLDING for raw in self._newest(name)))

    def _newest(self, name: str) -> Iterable[bytes]:
        kept = self.kept[name]
        return [kept[max(kept)]] if kept else []

    def _release(self) -> bytes:
        """The present writer's, who is there and lets go."""
        return make_release(
            key_of(self.present.writer, self.machines[self.present.writer]),
            service=SERVICE,
            epoch=self.present.epoch,
            holder=self.present.writer,
            generation="",
            reason="moved",
            time="2026-12-01T19:00:00Z",
        )

    def _read(self, name: str, raw: bytes) -> Grant | None:
        try:
            return self.bundle.granters.keeping(self.kept[name].values()).read(raw)
        except ApplianceError:
            return None

    def takes(self, name: str) -> bool:
        """Whether the vault of `name` believes each grant of the chain that it lacks, when something is pushed."""
        self.chain[self.present.epoch] = self.present.document.raw
        for epoch in self.chain.keys() - self.kept[name].keys():
            if self._read(name, self.chain[epoch]) is None:
                return False
            self.kept[name][epoch] = self.chain[epoch]
        return True

    # Bundles

    @property
    def name(self) -> str:
        """The name of the service for people."""
        return next(iter(self.file.services))

    def rename(self, name: str, was: str, *, moved_to: str = "", beside: str = "") -> bool:
        """Write `name` in territory.yml, with `was` where it is not empty, and sign that; False where it is refused.

        `moved_to` is another node in the same step, `beside` the name of a new service."""
        service = replace(self.file.services[self.name], name=name)
        service = replace(service, node=moved_to or service.node)
        services = {name: service} | ({beside: replace(service, name=beside)} if beside else {})
        before = self.file, self.was
        self.file, self.was = replace(self.file, services=services), {name: was} if was else {}
        try:
            return self._sign(set(NAMES), insists=False)
        except Refused:
            self.file, self.was = before
            return False

    def lend(self, but: str) -> None:
        """Each node that lends room does so, but one: its copies are placed elsewhere."""
        nodes = {it: replace(of, offered_bytes=_lent(it, but) * GIB) for it, of in self.file.nodes.items()}
        self.file = replace(self.file, nodes=nodes)
        self._sign(set(NAMES), insists=False)

    def set_quota(self, quota: int) -> None:
        service = replace(self.file.services[self.name], quota_bytes=quota)
        self.file = replace(self.file, services={service.name: service})
        self._sign(set(NAMES), insists=False)

    def raise_for(self, seconds: float, times: int) -> None:
        """An act of an operator: all holders let in more for a while, in all and in a day."""
        terms, document = self.bundle.terms(SERVICE), Document("appliance/act", {}, "", b"quota")
        act = Act("quota", SERVICE, SERVICE, "team", "digitised", self.time(), self.time() + seconds, document)
        more = {"quota_bytes": times * terms.quota_bytes, "daily_bytes": times * terms.daily_bytes}
        self.acts = (*(it for it in self.acts if it.end > self.time()), replace(act, **more))

    def limits(self, name: str) -> Limits:
        """Return the limits of the node `name`, by the bundle and the acts that it has."""
        key = self.bundle.serial, self.acts if self.acts and self.acts[-1].end > self.time() else ()
        if key != self._judged:
            self._judged, self._limits = key, {}
        if name not in self._limits:
            self._limits[name] = self.rules.limits(self.bundle.terms(SERVICE), key[1], name, self.time())
        return self._limits[name]

    def aims(self) -> tuple[str, ...]:
        """The nodes that must hold what the present writer makes, while none is lost."""
        key = self.bundle.serial, self.present.writer
        if key != self._aimed:
            self._aimed, self._aims = key, self.rules.aims(self.bundle, self.present.writer)
        return self._aims

    def replace(self, name: str, asked: Iterable[str], *, insists: bool = False) -> bool:
        """Another box in the place of `name`, with keys of its own and nothing of what the first one kept; the key
        holder asked `asked` for the grants that they keep. False where he is told to ask more nodes, and does."""
        asked = set(asked) - {name}
        members = {**self.bundle.members, name: _member(name, self.machines[name] + 1)}
        if not self._sign(asked, insists, members=members):
            return False
        self.machines[name] += 1
        self.kept[name], self.promised[name] = {}, Promised()
        return True

    def change_voters(self, name: str, asked: Iterable[str], *, insists: bool = False) -> bool:
        """`name` becomes a voter, or is none any more; not fewer than three, nor more than five."""
        before = self.file
        voters = {it for it in before.nodes if VOTER in before.nodes[it].roles} ^ {name}
        if not 3 <= len(voters) <= 5:
            return False
        nodes = {it: replace(of, roles=(VOTER,) if it in voters else ()) for it, of in before.nodes.items()}
        self.file = replace(before, nodes=nodes)
        if self._sign(set(asked), insists):
            return True
        self.file = before
        return False

    def _sign(self, asked: set[str], insists: bool, members: Mapping[str, Member] | None = None) -> bool:
        """The next bundle, by the file; False where the key holder is told to ask more nodes for their grants."""
        before, now = self.bundle, self.time()
        members = members or before.members
        following = self.rules.follows(before, self.file, self.was, now)
        keys = voter_keys(following.territory, members)
        shown = {
            name: Collected("peer", member.keys, tuple(self.kept[name].values()) if name in asked else None, now)
            for name, member in members.items()
        }
        term = next_term(before.voting, keys)
        found = self.rules.confirms(before, shown, self.earlier, now)
        if term != before.term:
            if found.unknown and not insists:
                return False
            self.earlier.append(before)
            self.unknown = self.unknown or bool(found.unknown)
        self.bundle = replace(
            before,
            serial=before.serial + 1,
            issued=utc_text(now),
            territory=following.territory,
            placements=following.placements,
            members=members,
            former=following.former,
            term=term,
            confirmed=found.digests,
            unconfirmed=self.rules.unconfirmed(before, found, term),
            former_voters=self.rules.former_voters(before, term, utc_text(now)),
        )
        return True

    def confirm(self) -> None:
        """Do as a node says that believes a former grant no more: ask all, and name the bundles of that time."""
        self._sign(set(NAMES), insists=False)
        self.unknown, self.earlier = False, []
