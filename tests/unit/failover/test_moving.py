"""Plans of moves: what they say, and what is refused before anybody waits, with what to do."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from appliance.cli.failover.move import text_of
from appliance.cli.language.choice import FRENCH
from appliance.cli.language.spoken import line_in, spoken
from appliance.coordination.port import Intent, LeaseHolder, Owner, ServiceRecord
from appliance.errors import ApplianceError, NotFound, Refused
from appliance.failover.moving import View, check_settled, evacuation, last_holder_of, plan_move, staying
from tests.worlds.small import node, service, territory

HOME, STANDBY, SECOND, OTHER = "commune-a", "hermitage", "commune-b", "commune-c"
PLAN = territory(
    [node(HOME, "valley"), node(STANDBY, "heights"), node(SECOND, "valley"), node(OTHER)],
    [service("docs-a", HOME, standbys=(STANDBY, SECOND)), service("docs-c", OTHER)],
)
MOVED = Intent("docs-a", "move", SECOND, "an operator at commune-b", "flood", 1, 60)


def record(holder: str = HOME, intent: Intent | None = None) -> ServiceRecord:
    held = LeaseHolder(holder, "boot", 1, 8) if holder else None
    return ServiceRecord("docs-a", 9, Owner(HOME, "first", "2026-11-26T08:00:00Z", False, 8), held, intent)


def view(**changed: Any) -> View:
    found = View(PLAN, PLAN.service("docs-a"), record(), HOME, {HOME, STANDBY, SECOND})
    return replace(found, **changed)


def test_a_plan_says_from_whom_to_whom_and_that_nothing_is_lost() -> None:
    plan = plan_move(view(), STANDBY)
    assert (plan.origin, plan.to, plan.rpo_seconds) == (HOME, STANDBY, 0)
    assert plan.steps[0].startswith("commune-a holds the writes of clients")
    assert plan.steps[-1].startswith("hermitage continues the repository")
    assert "Clients wait for the last backup and about 8 s (RTO)." in text_of(plan)


def test_how_long_a_database_takes_to_be_loaded_is_not_made_up() -> None:
    plan = plan_move(view(service=replace(PLAN.service("docs-a"), kind="postgresql")), STANDBY)
    assert plan.rto_seconds is None
    assert "Clients wait until its dump is made, sent and loaded; this grows with the database" in text_of(plan)


@pytest.mark.parametrize("kind", ["files", "postgresql"])
def test_a_plan_is_said_wholly_in_french(kind: str) -> None:
    text = text_of(plan_move(view(service=replace(PLAN.service("docs-a"), kind=kind)), STANDBY))
    said = spoken(lambda voice: "\n".join(line_in(it, voice) for it in text.split("\n")), FRENCH).split("\n")
    assert said[0] == "docs-a passe de commune-a à hermitage\u00a0:"
    assert said[2] == "  2. commune-a l'arrête, signe son abandon et rend le bail"
    assert said[5] == "Perdu\u00a0: rien (RPO 0 s)."
    assert said[6].startswith("Les postes attendent")


MIRROR = replace(PLAN.service("docs-a"), policy="mirror")
REFUSALS: dict[str, tuple[dict[str, Any], str, type[ApplianceError], str]] = {
    "an unknown node": ({}, "outsider", NotFound, 'there is no node "outsider".*known: commune-a'),
    "a mirror": ({"service": MIRROR}, STANDBY, Refused, "docs-a is a mirror"),
    "only one candidate": (
        {"service": PLAN.service("docs-c")},
        STANDBY,
        Refused,
        "docs-c has no candidate but commune-c",
    ),
    "no candidate": ({}, OTHER, Refused, "commune-c is not a candidate for docs-a.*commune-a, hermitage, commune-b"),
    "the holder": ({}, HOME, Refused, "commune-a already holds the lease of docs-a"),
    "nobody holds it": ({"record": record("")}, STANDBY, Refused, "docs-a has no lease holder now"),
    "a silent target": ({"alive": {HOME}}, STANDBY, Refused, "hermitage does not report to the voters"),
    "no fit copy": ({"unfit": {STANDBY: "it holds no generation."}}, STANDBY, Refused, "no replica to serve"),
    "a standby that takes nothing": (
        {"unfit": {STANDBY: "it does not hold 2.7, which others have since 2026-11-29T21:00:00Z."}},
        STANDBY,
        Refused,
        "hermitage has no replica to serve: it does not hold 2.7",
    ),
    "voters that could not grant it": (
        {"needed": 2, "knowing": {"commune-c"}},
        STANDBY,
        Refused,
        "hermitage could not get a grant of docs-a now: 2 voters must answer and know.*known at: commune-c.",
    ),
    "two operators at once": (
        {"record": record(intent=MOVED)},
        STANDBY,
        Refused,
        "an operator at commune-b already intends to move docs-a",
    ),
}


@pytest.mark.parametrize(("changed", "to", "kind", "sentence"), REFUSALS.values(), ids=REFUSALS)
def test_what_cannot_end_well_is_refused_before_it_begins(
    changed: dict[str, Any], to: str, kind: type[ApplianceError], sentence: str
) -> None:
    with pytest.raises(kind) as refusal:
        plan_move(view(**changed), to)
    refusal.match(sentence)
    assert refusal.value.remedy or "known" in str(refusal.value) or to in (HOME, STANDBY)


@pytest.mark.parametrize(
    ("holder", "served", "told"),
    [
        (HOME, HOME, "commune-a serves it"),
        (STANDBY, "", "hermitage holds the lease, but no node reports that it serves it"),
        ("", "", "docs-a has no lease holder now, and no node reports that it serves it"),
    ],
)
def test_a_move_that_did_not_end_says_where_the_service_is_seen_and_nothing_else(
    holder: str, served: str, told: str
) -> None:
    assert last_holder_of("docs-a", holder, served) == told


def test_an_evacuation_takes_the_first_candidate_outside() -> None:
    (plan,) = evacuation(PLAN, "valley", [view()])
    assert (plan.service, plan.to) == ("docs-a", STANDBY)


def test_an_evacuation_passes_over_whoever_cannot_have_it() -> None:
    third = replace(PLAN.service("docs-a"), standbys=(STANDBY, OTHER))
    (plan,) = evacuation(PLAN, "valley", [view(service=third, alive={HOME, OTHER})])
    assert plan.to == OTHER


def test_an_evacuation_leaves_what_is_outside_and_refuses_what_nobody_outside_can_take() -> None:
    assert evacuation(PLAN, "heights", [view()]) == ()
    with pytest.raises(Refused, match="docs-a cannot leave commune-a: hermitage does not report"):
        evacuation(PLAN, "valley", [view(alive={HOME})])
    with pytest.raises(NotFound, match='no zone "sea"; known: heights, valley'):
        evacuation(PLAN, "sea", [view()])


def test_what_nobody_holds_stays_in_the_water_and_is_told() -> None:
    nobody, alone = view(record=record("")), view(service=PLAN.service("docs-c"), record=record(""), writer="")
    assert evacuation(PLAN, "valley", [nobody]) == ()
    (why,) = staying(PLAN, "valley", [nobody, view(), alone]).values()
    assert why.startswith("it has no lease holder now")
    assert "`promote`" in why
    assert staying(PLAN, "heights", [nobody]) == {}
    written_elsewhere = replace(nobody, writer=STANDBY)
    assert list(staying(PLAN, "heights", [written_elsewhere])) == ["docs-a"]
    assert staying(PLAN, "valley", [written_elsewhere, replace(nobody, service=MIRROR)]) == {}
    inside = replace(alone, service=replace(PLAN.service("docs-c"), node=HOME))
    assert staying(PLAN, "valley", [inside]) == {"docs-c": "no node but commune-a could take it over"}
    with pytest.raises(NotFound, match="no zone"):
        staying(PLAN, "sea", [])


@pytest.mark.parametrize(
    ("ready", "sentence"),
    [
        pytest.param(
            None,
            "commune-a has not reported that it has caught up with docs-a.*`appliance failover status`",
            id="silent",
        ),
        pytest.param(
            0, "has been caught up with docs-a for 0 s of the required 300 s.*Try again in 300 s", id="just now"
        ),
        pytest.param(
            299,
            "for 299 s of the required 300 s.*`appliance failover move docs-a commune-a` does not wait",
            id="a second early",
        ),
    ],
)
def test_a_home_that_has_not_settled_does_not_get_its_service_back(ready: int | None, sentence: str) -> None:
    with pytest.raises(Refused) as refused:
        check_settled(view(record=record(STANDBY)), ready, 300.0)
    assert re.search(sentence, f"{refused.value.what} {refused.value.remedy}")


def test_a_home_that_has_settled_gets_its_service_back() -> None:
    check_settled(view(record=record(STANDBY)), 300, 300.0)
