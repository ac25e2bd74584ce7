"""The calls that a broker lets each node make, and those of a node that was broken into, which it refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.clock import SimulatedClock
from appliance.coordination.keys import new_lease
from appliance.coordination.port import Alive, Claim, Intent, Lease, Lost, ServiceRecord, Taken
from appliance.errors import ApplianceError, Forbidden, NotFound, Refused, UsageError
from appliance.voter.broker import MEMBER, QUARANTINED, VERBS, Acts, Brokered, verbs
from appliance_lab.doubles.memory_store import Memory, Store, at_once
from tests.worlds.small import node, service, territory

TIME = "2026-11-26T08:00:00Z"
HOME, STANDBY, OTHER, OUTSIDER = "commune-a", "hermitage", "commune-c", "nobody"
TERRITORY = territory(
    [node(HOME), node(STANDBY, roles=("standby",)), node("commune-b"), node(OTHER)],
    [
        service("files", HOME, standbys=(STANDBY, "commune-b")),
        replace(service("database", HOME, standbys=(STANDBY,)), policy="exclusive"),
        replace(service("site", HOME, standbys=(STANDBY,)), policy="mirror"),
    ],
)


def frozen(*names: str) -> frozenset[str]:
    return frozenset(names)


class World:
    """A store behind brokers that have checked `acts`."""

    def __init__(self) -> None:
        self.store = Store(SimulatedClock())
        self.acts = Acts()

    def broker(self, caller: str) -> Brokered:
        return Brokered(Memory(self.store), TERRITORY, caller, lambda service: self.acts)

    def state(self, service: str) -> ServiceRecord:
        return self.store.read(service)

    def acquire(self, caller: str, service: str, **more: object) -> Lease:
        return at_once(self.broker(caller).acquire(self.claim(caller, service, **more)))

    def claim(self, node: str, service: str, **more: object) -> Claim:
        lease = new_lease(node, self.store.revision)
        made = Claim(service, node, "boot-1", lease, self.state(service).owned, 15, "a reason", TIME)
        return replace(made, **more)  # type: ignore[arg-type]


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(
    ("caller", "of", "expected"),
    [
        (HOME, "files", VERBS),
        (STANDBY, "files", VERBS),
        (STANDBY, "database", VERBS),
        ("commune-b", "database", MEMBER),
        (OTHER, "files", MEMBER),
        (HOME, "site", MEMBER),
        (OUTSIDER, "files", frozen()),
    ],
)
def test_verbs_follow_the_bundle(caller: str, of: str, expected: frozenset[str]) -> None:
    assert verbs(TERRITORY, of, caller, Acts()) == expected


def test_a_node_in_quarantine_only_reads() -> None:
    assert verbs(TERRITORY, "files", HOME, Acts(quarantined=frozen(HOME))) == QUARANTINED


def test_a_service_that_nobody_declared_is_not_known(world: World) -> None:
    with pytest.raises(NotFound, match="no-such"):
        at_once(world.broker(HOME).read("no-such"))


def test_who_is_no_node_learns_nothing(world: World) -> None:
    outsider = world.broker(OUTSIDER)
    for call in (outsider.read("files"), outsider.history("files"), outsider.alive(), outsider.report(alive(OUTSIDER))):
        with pytest.raises(Forbidden):
            at_once(call)
    with pytest.raises(Forbidden):
        outsider.watch(world.state("files"))


@pytest.mark.parametrize(
    ("caller", "changes", "sentence"),
    [
        (OTHER, {"node": OTHER}, '"commune-c" may not "acquire" database'),
        (OTHER, {"node": STANDBY}, '"commune-c" may not "acquire" database'),
        (HOME, {"node": STANDBY}, '"commune-a" may not speak for hermitage'),
        (STANDBY, {"lease": new_lease(HOME, 1)}, "does not belong to hermitage"),
        (STANDBY, {"lease": 7}, "lease 7 does not belong to hermitage"),
        (STANDBY, {"ttl_seconds": 86400}, "a lease of 86400 s is not within 1 to 60 s"),
        (STANDBY, {"ttl_seconds": 0}, "a lease of 0 s"),
        (HOME, {"service": "site"}, '"commune-a" may not "acquire" site'),
    ],
)
def test_a_claim_beyond_ones_rights_is_refused(
    world: World, caller: str, changes: dict[str, object], sentence: str
) -> None:
    claim = replace(world.claim(caller, "database"), **changes)  # type: ignore[arg-type]
    with pytest.raises(ApplianceError, match=sentence) as refusal:
        at_once(world.broker(caller).acquire(claim))
    assert isinstance(refusal.value, Forbidden | Refused)
    assert world.state(claim.service).owner is None


def test_an_exclusive_service_goes_to_the_candidate_that_finds_its_lease_ended(world: World) -> None:
    world.acquire(HOME, "database")
    with pytest.raises(Taken):
        world.acquire(STANDBY, "database")
    world.store.advance(15)
    assert world.acquire(STANDBY, "database").node == STANDBY


def test_a_local_first_service_begins_at_its_home(world: World) -> None:
    with pytest.raises(Refused, match="its origin commune-a must be the first"):
        world.acquire(STANDBY, "files")
    world.acquire(HOME, "files")


def test_the_silence_of_a_local_first_home_gives_its_service_to_nobody(world: World) -> None:
    world.acquire(HOME, "files")
    world.store.advance(3600)
    with pytest.raises(
        Refused, match="belongs to commune-a, which did not release it and may still be writing"
    ) as refusal:
        world.acquire(STANDBY, "files")
    assert "Serve a dated copy for reading" in refusal.value.remedy
    assert world.state("files").owner == replace(world.state("files").owner, node=HOME)  # type: ignore[type-var]
    world.acquire(HOME, "files", resumes=True)


@pytest.mark.parametrize(
    "acts", [Acts(promoted=frozen(STANDBY)), Acts(lost=frozen(HOME)), Acts(quarantined=frozen(HOME))]
)
def test_a_signed_act_gives_it_to_a_standby_whether_its_home_is_silent_or_alive(world: World, acts: Acts) -> None:
    first = world.acquire(HOME, "files")
    world.acts = acts
    taken = world.acquire(STANDBY, "files", ousts=first.since)
    world.store.advance(100)
    world.acts = acts
    assert world.acquire(STANDBY, "files").revision > taken.revision


def test_the_home_takes_it_back_once_the_lease_of_its_stand_in_has_ended(world: World) -> None:
    """A stand-in is bound by its lease; only a home goes on alone."""
    first = world.acquire(HOME, "files")
    world.acts = Acts(promoted=frozen(STANDBY))
    taken = world.acquire(STANDBY, "files", ousts=first.since)
    world.acts = Acts()
    with pytest.raises(Refused, match="hermitage still holds "):
        world.acquire(HOME, "files", ousts=taken.since)
    world.store.advance(100)
    assert world.acquire(HOME, "files").revision > taken.revision


def test_so_does_a_home_that_gives_it_up(world: World) -> None:
    at_once(world.broker(HOME).release(world.acquire(HOME, "files"), "the power is going", TIME))
    world.acquire(STANDBY, "files")


@pytest.mark.parametrize("of", ["files", "database"])
@pytest.mark.parametrize("acts", [Acts(), Acts(promoted=frozen("commune-b")), Acts(lost=frozen("commune-b"))])
def test_the_living_is_not_replaced_without_an_act_that_names_it(world: World, of: str, acts: Acts) -> None:
    first = world.acquire(HOME, of)
    world.acts = acts
    with pytest.raises(Refused, match=f"{HOME} still holds "):
        world.acquire(STANDBY, of, ousts=first.since)
    at_once(world.broker(HOME).renew(first))


def test_a_claim_that_names_another_holder_than_there_is_is_not_judged_by_what_is_read(world: World) -> None:
    first = world.acquire(HOME, "files")
    world.acts = Acts(promoted=frozen(STANDBY))
    for changes in ({"ousts": first.since + 1}, {"seen": first.revision + 1, "ousts": first.since}):
        with pytest.raises(Taken):
            world.acquire(STANDBY, "files", **changes)


def test_nobody_gives_up_or_renews_what_another_holds(world: World) -> None:
    first = world.acquire(HOME, "database")
    mine = replace(first, node=STANDBY, lease=new_lease(STANDBY, 1))
    with pytest.raises(Lost, match="is held by commune-a"):
        at_once(world.broker(STANDBY).release(mine, "a lie", TIME))
    for stolen in (first, replace(first, node=STANDBY)):
        with pytest.raises(Forbidden):
            at_once(world.broker(STANDBY).renew(stolen))
        with pytest.raises(Forbidden):
            at_once(world.broker(STANDBY).release(stolen, "a lie", TIME))
    assert world.state("database").holder is not None
    at_once(world.broker(HOME).renew(first))


def test_a_release_that_is_made_again_is_one(world: World) -> None:
    first = world.acquire(HOME, "database")
    for _ in range(2):
        at_once(world.broker(HOME).release(first, "moved", TIME))


def alive(node: str, ttl: int = 60) -> Alive:
    return Alive(node, "boot-1", new_lease(node, 1), ttl)


def intent(node: str, **more: object) -> Intent:
    made = Intent("files", "move", STANDBY, "maintenance", "flood", new_lease(node, 2), 60)
    return replace(made, **more)  # type: ignore[arg-type]


def test_a_node_is_alive_for_itself_only_and_not_for_ever(world: World) -> None:
    at_once(world.broker(OTHER).report(alive(OTHER)))
    for report, sentence in ((alive(HOME), "may not speak for commune-a"), (alive(OTHER, 86400), "is not within 1")):
        with pytest.raises(ApplianceError, match=sentence):
            at_once(world.broker(OTHER).report(report))
    assert [it.node for it in world.store.alive()] == [OTHER]


def test_who_is_in_quarantine_keeps_no_lease_alive_by_what_it_reports(world: World) -> None:
    lease = world.acquire(HOME, "database")
    world.acts = Acts(quarantined=frozen(HOME))
    for report in (alive(HOME), intent(HOME)):
        with pytest.raises(Forbidden, match="quarantine"):
            at_once(world.broker(HOME).report(replace(report, lease=lease.lease)))
    world.store.advance(16)
    assert world.state("database").holder is None


def test_what_stays_on_the_disks_of_voters_is_short(world: World) -> None:
    long = "é" * 400
    for report in (replace(alive(HOME), boot_id=long), intent(HOME, reason=long)):
        with pytest.raises(Refused, match=r"8\d\d bytes are more than brokers accept"):
            at_once(world.broker(HOME).report(report))
    with pytest.raises(Refused, match="more than brokers accept"):
        world.acquire(HOME, "database", reason=long)
    lease = world.acquire(HOME, "database")
    with pytest.raises(Refused, match="more than brokers accept"):
        at_once(world.broker(HOME).release(lease, long, TIME))
    assert world.state("database").holder is not None


def test_a_claim_that_names_what_is_not_yet_is_no_claim_made_again(world: World) -> None:
    lease = world.acquire(HOME, "database")
    with pytest.raises(Taken):
        world.acquire(HOME, "database", lease=lease.lease, seen=lease.revision + 1, ousts=lease.since + 1)


@pytest.mark.parametrize("caller", [HOME, STANDBY, "commune-b"])
def test_candidates_and_the_maintenance_team_announce_what_they_intend(world: World, caller: str) -> None:
    at_once(world.broker(caller).report(meant := intent(caller)))
    assert world.state("files").intent == meant
    with pytest.raises(Forbidden, match="does not belong to commune-c"):
        at_once(world.broker(OTHER).withdraw(meant))
    at_once(world.broker(caller).withdraw(meant))


@pytest.mark.parametrize(
    ("caller", "changes", "kind", "sentence"),
    [
        (OTHER, {}, Forbidden, "may not announce anything for files"),
        (HOME, {"kind": "promote"}, Refused, "needs a signed act"),
        (HOME, {"kind": "quarantine"}, Refused, "needs a signed act"),
        (HOME, {"to": OTHER}, UsageError, "commune-c is not a candidate for files"),
        (HOME, {"ttl_seconds": 86400}, Refused, "is not within 1 to 3600 s"),
        (HOME, {"lease": 9}, Forbidden, "lease 9 does not belong to commune-a"),
    ],
)
def test_an_intent_that_is_not_ones_own_is_refused(
    world: World, caller: str, changes: dict[str, object], kind: type[ApplianceError], sentence: str
) -> None:
    with pytest.raises(kind, match=sentence):
        at_once(world.broker(caller).report(intent(caller, **changes)))
    assert world.state("files").intent is None
