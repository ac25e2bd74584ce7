"""The copies of a service after each event, and the nodes that can open them."""

from __future__ import annotations

import pytest

from appliance.territory.model import Event, ExternalPeer, OfflineDisk, Placement, Territory
from appliance.territory.survival import PAPER, Verdict, losses, planned_only, prove
from appliance.units import DAY
from tests.worlds.small import node, service, territory

NODES = (node("a", "flood"), node("hermitage", "heights"), node("b", "plateau"), node("c", "forest"))
PLACED = {"docs": Placement("docs", ("hermitage", "b"), ("c",))}


def of(verdicts: tuple[Verdict, ...], event: str) -> Verdict:
    (found,) = [verdict for verdict in verdicts if verdict.event == event]
    return found


def small(*, external: tuple[str, ...] = (), offline: tuple[str, ...] = (), **more: object) -> Territory:
    docs = service("docs", "a", standbys=("hermitage",), external=external, offline=offline)
    return territory(NODES, [docs], **more)  # type: ignore[arg-type]


def test_every_zone_node_pair_and_the_whole_are_events_without_being_declared() -> None:
    events = [loss.event for loss in losses(small())]
    assert events[:4] == ["zone flood lost", "zone forest lost", "zone heights lost", "zone plateau lost"]
    assert sum(event.startswith("nodes ") for event in events) == 6
    assert events[-2:] == ["the whole territory lost", "control machine compromised"]


@pytest.mark.parametrize(
    ("event", "survives", "where", "opened_by"),
    [
        ("node a lost", True, ("hermitage", "b"), ("hermitage",)),
        ("node b lost", True, ("hermitage",), ("a", "hermitage")),
        ("node c lost", True, ("hermitage", "b"), ("a", "hermitage")),
        ("nodes a and hermitage lost", True, ("b",), (PAPER,)),
        ("nodes b and hermitage lost", True, (), ("a",)),
        ("zone flood lost", True, ("hermitage", "b"), ("hermitage",)),
        ("the whole territory lost", False, (), ()),
        ("control machine compromised", False, (), ()),
    ],
)
def test_a_verdict_names_the_copies_left_and_who_opens_them(
    event: str, survives: bool, where: tuple[str, ...], opened_by: tuple[str, ...]
) -> None:
    verdict = of(prove(small(), PLACED), event)
    assert (verdict.survives, verdict.where, verdict.opened_by) == (survives, where, opened_by)
    assert verdict.copies_left == len(where)


@pytest.mark.parametrize(
    ("event", "why"),
    [
        ("node b lost", "a continues; copies at hermitage."),
        ("node a lost", "a is lost; copies at hermitage and b, opened by hermitage."),
        ("nodes b and hermitage lost", "a continues, but no other copy is left: seed a spare at once."),
        (
            "control machine compromised",
            "a and every copy are compromised; an external peer or an offline disk would be left, "
            "but nothing writes there yet.",
        ),
    ],
)
def test_a_verdict_says_why(event: str, why: str) -> None:
    assert of(prove(small(), PLACED), event).why == why


def test_a_declared_event_takes_its_zones_and_its_nodes_together() -> None:
    here = small(events={"crue": Event("crue", "Crue", zones=("flood", "plateau"), nodes=("hermitage",))})
    verdict = of(prove(here, PLACED), "crue")
    assert verdict.kind == "declared"
    assert not verdict.survives


def test_a_site_with_two_nodes_is_an_event_too() -> None:
    nodes = (node("a"), node("b", site="hall"), node("c", site="hall"))
    here = territory(nodes, [service("docs", "a", copies=1)])
    assert [loss.nodes for loss in losses(here) if loss.kind == "site"] == [frozenset(("b", "c"))]


def outside(*, log_in: bool = False, kept_at: str = "") -> Territory:
    peer = ExternalPeer("amiens", "Partenaire", "FR", "sauvegarde.example.org", 22, territory_can_log_in=log_in)
    disk = OfflineDisk("disk", "Disque", kept_at, 30 * DAY)
    return small(external=("amiens",), offline=("disk",), external_peers={"amiens": peer}, disks={"disk": disk})


@pytest.mark.parametrize(
    ("log_in", "kept_at", "event", "planned"),
    [
        (False, "", "the whole territory lost", ("amiens", "disk")),
        (True, "", "the whole territory lost", ("amiens", "disk")),
        (False, "", "control machine compromised", ("amiens", "disk")),
        (True, "", "control machine compromised", ("disk",)),
        (False, "site-b", "the whole territory lost", ("amiens",)),
        (True, "site-b", "control machine compromised", ("disk",)),
        (False, "site-b", "node b lost", ("amiens", "disk")),
    ],
)
def test_what_is_outside_would_be_left_where_the_event_does_not_reach(
    log_in: bool, kept_at: str, event: str, planned: tuple[str, ...]
) -> None:
    assert of(prove(outside(log_in=log_in, kept_at=kept_at), PLACED), event).planned == planned


def test_what_nothing_writes_yet_is_named_and_never_counted() -> None:
    verdict = of(prove(outside(), PLACED), "the whole territory lost")
    assert (verdict.survives, verdict.survives_as_planned, verdict.where) == (False, True, ())
    assert "amiens and disk (up to 30 d old) would be left, but nothing writes there yet." in verdict.why
    assert of(prove(outside(), PLACED), "node b lost").where == ("hermitage",)
    assert planned_only(outside()) == ("amiens", "disk")
    assert planned_only(small()) == ()


def test_a_disk_kept_where_the_flood_comes_is_lost_with_its_site() -> None:
    here = outside(kept_at="site-b")
    flooded = territory(
        NODES,
        here.services.values(),
        site_zones={"site-b": ("river",)},
        external_peers=here.external,
        disks=here.offline,
    )
    assert of(prove(flooded, PLACED), "zone river lost").planned == ("amiens",)


def test_a_sealed_key_needs_a_signed_act() -> None:
    here = territory(NODES, [service("docs", "a", standbys=("hermitage",), key_access="sealed")])
    assert of(prove(here, PLACED), "node a lost").opened_by == ("hermitage by a person there",)


def test_an_announced_event_says_how_far_ahead() -> None:
    here = small(warnings={"flood": 3 * DAY})
    assert of(prove(here, PLACED), "zone flood lost").why.endswith("Announced 3 d ahead: move it first.")
