"""A service that is renamed keeps its first name in what is signed; what makes no sense is refused with a sentence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.errors import Refused
from appliance.territory.model import Service, Territory
from appliance.territory.renaming import follow_names, with_first_names
from tests.worlds.small import node, service, territory

NODES = [node("a"), node("b")]
DOCS = service("docs-a", "a")


def plan(*services: Service, **was: str) -> Territory:
    return with_first_names(territory(NODES, services), was)


def named(found: Territory) -> dict[str, str]:
    return {name: it.called for name, it in found.services.items()}


def follow(new: Territory, before: Territory, left: tuple[Service, ...] = ()) -> Territory:
    return follow_names(new, before.services, {it.name: it for it in left})


FIRST = plan(DOCS)
SECOND = follow(plan(service("docs", "a"), docs="docs-a"), FIRST)


def test_a_renamed_service_keeps_its_first_name_and_is_called_by_the_new_one() -> None:
    assert named(SECOND) == {"docs-a": "docs"}
    assert (SECOND.services["docs-a"].label, SECOND.services["docs-a"].title) == ("docs (docs-a)", "docs")


@pytest.mark.parametrize("was", [{}, {"docs": "docs-a"}])
def test_a_renamed_service_stays_the_same_with_and_without_its_line(was: dict[str, str]) -> None:
    assert named(follow(plan(service("docs", "a"), **was), SECOND)) == {"docs-a": "docs"}


def test_a_service_may_be_renamed_again_and_back() -> None:
    third = follow(plan(service("papers", "a"), papers="docs-a"), SECOND)
    assert named(third) == {"docs-a": "papers"}
    assert named(follow(plan(service("papers", "a"), papers="docs-a"), third)) == {"docs-a": "papers"}
    assert named(follow(plan(service("docs-a", "a")), third)) == {"docs-a": ""}


@pytest.mark.parametrize("left", [False, True])
def test_was_says_the_first_name_and_the_refusal_of_a_later_one_says_which(left: bool) -> None:
    """In playbooks, which read the file alone, it would be another service; and the next bundle could not be signed."""
    before, gone = (plan(), (SECOND.services["docs-a"],)) if left else (SECOND, ())
    with pytest.raises(Refused, match='"docs" is not the first name of "papers"') as caught:
        follow(plan(service("papers", "a"), papers="docs"), before, gone)
    assert "Write `was: docs-a` there" in caught.value.remedy


def test_services_that_swap_their_names_stay_themselves() -> None:
    first = plan(DOCS, service("maps-a", "a"))
    second = follow(plan(service("docs", "a"), service("maps", "a"), docs="docs-a", maps="maps-a"), first)
    swapped = plan(service("docs", "a"), service("maps", "a"), docs="maps-a", maps="docs-a")
    assert named(follow(swapped, second)) == {"docs-a": "maps", "maps-a": "docs"}


def test_a_service_that_left_comes_back_under_the_name_it_had_last() -> None:
    left = replace(SECOND.services["docs-a"])
    assert named(follow(plan(service("docs", "a")), plan(), (left,))) == {"docs-a": "docs"}
    assert named(follow(plan(service("papers", "a"), papers="docs-a"), plan(), (left,))) == {"docs-a": "papers"}


def test_a_rename_and_a_move_in_one_step_are_refused_and_each_alone_is_not() -> None:
    with pytest.raises(Refused, match="renamed and moved from a to b in one step") as caught:
        follow(plan(service("docs", "b"), docs="docs-a"), FIRST)
    assert caught.value.remedy == "Sign it with `node: a` first, then change `node`."
    assert follow(plan(service("docs", "b"), docs="docs-a"), SECOND).services["docs-a"].node == "b"
    assert follow(plan(service("docs-a", "b")), FIRST).services["docs-a"].node == "b"


@pytest.mark.parametrize(
    ("new", "sentence"),
    [
        (plan(service("docs", "a"), docs="doks-a"), '"doks-a" is not the first name of "docs"'),
        (plan(service("papers", "a"), papers="doks-a"), '"doks-a" is neither a service of the previous bundle'),
        (
            plan(service("docs", "a"), service("docs-a", "b")),
            'would both be the service whose first name is "docs-a"',
        ),
        (
            plan(service("docs", "a"), replace(service("docs-a", "b")), **{"docs-a": "base"}),
            "is a name in the history of docs",
        ),
    ],
)
def test_a_name_that_belongs_to_another_history_is_refused(new: Territory, sentence: str) -> None:
    before = plan(replace(DOCS), service("base", "b"))
    second = follow(plan(service("docs", "a"), service("base", "b"), docs="docs-a"), before)
    with pytest.raises(Refused, match=sentence):
        follow(new, second)
