"""Voters are replaced, added and removed, with takeovers before and after: every service can be granted on.

Brokers are the real ones in memory: what they were shown, what they keep on their disks, what they sign. Each step
changes the bundle as `appliance territory sign` does, from what the nodes show with their keys.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.backup.chain.kept_grants import KeptGrants
from appliance.clock import SimulatedClock, utc_text
from appliance.config.collected import Collected
from appliance.config.confirming import confirm, former_voters_after
from appliance.errors import Refused
from appliance.failover.documents import SignedDocuments
from appliance.trust.bundle import Bundle, Member, make_bundle, read_bundle, voter_keys
from appliance.trust.grant import Grant, GrantRequest, make_grant, make_request, read_request
from appliance.trust.keys import PublicKeys, public_line
from appliance.trust.release import make_release
from appliance.trust.voted import assemble, statement
from appliance.trust.voting import next_term
from appliance.voter.promises import begin_promises
from appliance.voter.signing import Signer
from appliance.voter.state import BrokerState
from tests.worlds.documents import TERRITORY, bundle
from tests.worlds.voters import REPOSITORY

HOME, STANDBY, HOLDER, OTHER, FIFTH = "commune-a", "hermitage", "commune-b", "commune-c", "commune-d"
AT_FIRST = (STANDBY, HOLDER, OTHER)
NOW = 1_790_000_000.0


class Valley:
    """A territory of five nodes; `docs-a` begins at HOME, STANDBY may take it over, HOLDER stores it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock, self.machines = folder, SimulatedClock(), 0
        self.keys = {name: self._key() for name in (HOME, STANDBY, HOLDER, OTHER, FIFTH)}
        self.bundle: Bundle = bundle(voters=AT_FIRST, keys=self.keys)
        self.machine = dict.fromkeys(self.keys, 0)
        self.desks: dict[str, BrokerState] = {}
        self.kept: dict[str, dict[int, bytes]] = {name: {} for name in (HOME, STANDBY, HOLDER)}
        for name in AT_FIRST:
            self._begin(name)
        self.take(make_grant(TERRITORY, self.request(HOME, 0)))

    def _key(self) -> Ed25519PrivateKey:
        self.machines += 1
        return Ed25519PrivateKey.from_private_bytes(bytes([self.machines] * 32))

    def _begin(self, name: str) -> None:
        """A new machine has a broker that promised nothing."""
        begin_promises(self._place(name) / "promises", name)

    def _place(self, name: str) -> Path:
        folder = self.folder / f"{name}-{self.machine[name]}"
        folder.mkdir(exist_ok=True)
        return folder

    def _broker(self, name: str) -> BrokerState:
        place = self._place(name)
        kept = KeptGrants(place / "grants")
        held = tuple(self.kept.get(name, {}).values())
        documents = SignedDocuments(
            lambda service: self.bundle.granters.keeping((*kept.of(service), *held)), lambda: self.bundle.operators
        )
        documents.take(kept.every())
        signer = Signer(place / "promises", name, self.keys[name])
        return BrokerState(name, lambda: self.bundle, self.clock, documents, signer, lambda: (), kept.keep)

    def restart(self) -> None:
        """Every broker begins again, as by an upgrade or a blackout, and each node shows what it keeps."""
        self.desks = {name: self._broker(name) for name in self.bundle.voting.keys}
        self.attend()

    def attend(self) -> None:
        for state in self.desks.values():
            for name, grants in self.kept.items():
                newest = [grants[max(grants)].decode()] if grants else []
                state.take_heartbeat(name, state.token, tuple(newest), ())

    def request(self, writer: str, known: int) -> GrantRequest:
        """The request of `writer`, signed by its present key; a grant of the territory key answers the same."""
        fields = {"service": "docs-a", "repository": REPOSITORY, "writer": writer, "reason": "test"}
        raw = make_request(self.keys[writer], known_epoch=known, **fields)
        return read_request(raw, public_line(self.keys[writer]))

    def present(self) -> Grant:
        found = [
            state.documents.grants["docs-a"] for state in self.desks.values() if "docs-a" in state.documents.grants
        ]
        assert found, "no broker believes any grant of docs-a"
        return max(found, key=lambda grant: grant.epoch)

    def take(self, raw: bytes) -> None:
        """Each node that has to do with the service keeps the grant; a machine that is new has none of before."""
        epoch = int(json.loads(raw.splitlines()[0])["epoch"])
        for grants in self.kept.values():
            grants[epoch] = raw
        self.restart()

    def move(self, to: str) -> Grant:
        """The writer releases the service, and a majority of the brokers grants it to `to`."""
        self.attend()
        present = self.present()
        writer = next((it for it, key in self.keys.items() if public_line(key) == present.writer_key), None)
        papers = [present.document.raw.decode()]
        if writer:
            said = {"generation": "", "reason": "moved", "time": "2026-11-30T08:00:00Z"}
            release = make_release(
                self.keys[writer], service="docs-a", epoch=present.epoch, holder=present.writer, **said
            )
            papers.append(release.decode())
        request = self.request(to, present.epoch)
        votes = [state.vote(to, request.document.raw.decode(), tuple(papers)) for state in self.desks.values()]
        self.take(assemble(statement(request, self.bundle.voting), votes))
        return self.present()

    # What the key holder does

    def collect(self) -> dict[str, Collected]:
        return {name: self._collected(name) for name in self.kept}

    def sign(
        self,
        voters: tuple[str, ...],
        *,
        replaced: str = "",
        confirms: bool = True,
        shown: dict[str, Collected] | None = None,
    ) -> None:
        """The next bundle with these voters; `replaced` is a new machine, which keeps nothing of before. `shown`: what
        was collected earlier. Without `confirms` a former version signs."""
        shown = dict(self.collect() if shown is None else shown)
        if replaced:
            self.keys[replaced] = self._key()
            self.machine[replaced] += 1
            if replaced in self.kept:
                self.kept[replaced] = {}
            shown[replaced] = self._collected(replaced)
        before = self.bundle
        found = confirm(before, shown, now=NOW) if confirms else None
        assert found is None or (found.unknown, found.refused) == ({}, ())
        roles = {name: ("voter",) if name in voters else () for name in before.territory.nodes}
        nodes = {name: replace(it, roles=roles[name]) for name, it in before.territory.nodes.items()}
        plan = replace(before.territory, nodes=nodes)
        members = {
            name: Member(nodes[name], "peer", PublicKeys(public_line(key), f"ssh {name}", f"host {name}", "a"))
            for name, key in self.keys.items()
        }
        raw = make_bundle(
            TERRITORY,
            serial=before.serial + 1,
            issued=utc_text(NOW),
            territory=plan,
            placements=before.placements,
            members=members,
            recovery="",
            term=(term := next_term(before.voting, voter_keys(plan, members))),
            former_voters=former_voters_after(before, term, utc_text(NOW)) if confirms else None,
            confirmed=found.digests if found else before.confirmed,
        )
        self.bundle = read_bundle(raw, before.territory_key)
        for name in voters:
            if not (self._place(name) / "promises").exists():
                self._begin(name)
        self.restart()

    def _collected(self, name: str) -> Collected:
        keys = PublicKeys(public_line(self.keys[name]), f"ssh {name}", f"host {name}", "a")
        return Collected("peer", keys, tuple(self.kept.get(name, {}).values()), NOW)


@pytest.fixture
def valley(tmp_path: Path) -> Valley:
    return Valley(tmp_path)


def test_a_service_moves_on_after_its_holder_that_votes_was_replaced(valley: Valley) -> None:
    """A share was down for good: "has no grant yet", said each broker, of epochs 3, 5 and 7 that it did not believe."""
    for to in (STANDBY, HOME, STANDBY):
        valley.move(to)
    valley.sign(AT_FIRST, replaced=HOLDER)
    assert valley.move(HOME).epoch == 513


STEPS = {
    "replaced": ((STANDBY, HOLDER, OTHER), OTHER),
    "its holder is replaced": ((STANDBY, HOLDER, OTHER), HOLDER),
    "its standby is replaced": ((STANDBY, HOLDER, OTHER), STANDBY),
    "two are added": ((STANDBY, HOLDER, OTHER, HOME, FIFTH), ""),
    "all others vote": ((HOME, OTHER, FIFTH), ""),
}


@pytest.mark.parametrize("second", STEPS)
@pytest.mark.parametrize("first", STEPS)
def test_voters_change_twice_in_any_order_and_the_service_moves_between_and_after(
    valley: Valley, first: str, second: str
) -> None:
    for step in (first, second):
        valley.move(STANDBY)
        valley.move(HOME)
        voters, replaced = STEPS[step]
        valley.sign(voters, replaced=replaced)
        valley.restart()
    assert valley.move(STANDBY).writer == STANDBY
    assert valley.move(HOME).writer == HOME


@pytest.mark.parametrize("step", STEPS)
def test_a_takeover_after_the_keys_were_collected_lets_no_second_writer_in(valley: Valley, step: str) -> None:
    """The bundle confirms nothing of it, and voters that are new never saw it; the replica nodes with its grant show
    it."""
    valley.move(STANDBY)
    valley.move(HOME)
    collected = valley.collect()
    late = valley.move(STANDBY)
    voters, replaced = STEPS[step]
    valley.sign(voters, replaced=replaced, shown=collected)
    for name, state in valley.desks.items():
        assert state.documents.grants["docs-a"].statement == late.statement, name
        with pytest.raises(Refused, match=r"did not release docs-a|hermitage has not been silent|knows epoch"):
            state.vote(HOME, valley.request(HOME, 5).document.raw.decode())
    if replaced != STANDBY:
        assert valley.move(HOME).epoch == 513
    valley.sign(AT_FIRST)
    assert valley.move(STANDBY).writer == STANDBY, "and back"


def test_what_voters_before_the_last_ones_granted_is_confirmed_one_by_one(valley: Valley) -> None:
    """Their boxes may be in anybody's hands: nobody believes them for ever."""
    collected = valley.collect()
    late = valley.move(STANDBY)
    valley.sign((*AT_FIRST, HOME, FIFTH), shown=collected)
    assert valley.bundle.granters.read(late.document.raw).epoch == 3
    valley.sign(AT_FIRST)
    assert late.statement in valley.bundle.confirmed
    assert valley.bundle.former_voters is not None
    assert valley.bundle.former_voters.voting.term == 1
    unconfirmed = replace(valley.bundle.granters, accepted=frozenset())
    with pytest.raises(Refused, match="epoch 3 of docs-a is outside 1025 to 1535"):
        unconfirmed.read(late.document.raw)


def test_what_was_shown_before_the_present_voters_came_says_nothing_of_the_former_ones(valley: Valley) -> None:
    old = {name: replace(it, brought=NOW - 1) for name, it in valley.collect().items()}
    valley.move(STANDBY)
    valley.sign((*AT_FIRST, HOME, FIFTH))
    assert set(confirm(valley.bundle, old, now=NOW).unknown) == {"docs-a"}
    assert confirm(valley.bundle, valley.collect(), now=NOW).unknown == {}


def test_brokers_that_stay_voters_remember_a_grant_that_no_bundle_confirms(valley: Valley) -> None:
    """One was granted after the keys were collected: the majority that remains judged it when it came."""
    valley.move(STANDBY)
    for grants in valley.kept.values():
        grants.pop(2)
    valley.kept[HOLDER].clear()
    valley.sign(AT_FIRST, replaced=OTHER, confirms=False)
    believed = [name for name, state in valley.desks.items() if state.documents.grants.get("docs-a")]
    assert set(believed) == {STANDBY, HOLDER}


def test_a_grant_of_the_key_holder_is_the_way_out_where_no_broker_believes_the_present_one(valley: Valley) -> None:
    valley.move(STANDBY)
    valley.move(HOME)
    valley.sign((HOME, OTHER, FIFTH), replaced=OTHER, confirms=False)
    for name, state in valley.desks.items():
        assert ("docs-a" in state.documents.grants) == (name == HOME), (
            "it keeps what it judged; the others never saw it"
        )
    known = valley.desks[HOME].documents.grants["docs-a"].epoch
    with pytest.raises(Refused, match=r"commune-c accepts no grant of docs-a: epoch 5 .* granted by other voters"):
        valley.desks[OTHER].vote(STANDBY, valley.request(STANDBY, known).document.raw.decode())
    assert "docs-a" in valley.desks[OTHER].unbelieved()
    assert valley.desks[HOME].unbelieved() == {}
    valley.take(make_grant(TERRITORY, valley.request(HOME, known)))
    assert {state.documents.grants["docs-a"].epoch for state in valley.desks.values()} == {6}
    assert valley.desks[OTHER].unbelieved() == {}, "a newer one is believed"
    assert valley.move(STANDBY).epoch == 513


def test_papers_that_a_broker_refused_are_shown_again_under_its_next_bundle(valley: Valley) -> None:
    """The nodes had the bundle first: the broker refused what it confirms, and nobody ever showed it again."""
    (first, *_) = valley.desks.values()
    before = first.token
    valley.sign((*AT_FIRST, HOME, FIFTH))
    assert first.token != before
