"""Missing paths are named as their header meant them, whatever `territory.yml` has made of the paths since."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from appliance.agent.wholeness import Older, missing_of
from appliance.clock import utc_seconds
from appliance.monitor.view import Missing
from appliance.territory.model import Service
from appliance.trust.declared import CHANGES_MAX, FILE, declared_at, note_former
from appliance.trust.generation import Header
from appliance.trust.signed import Document
from tests.worlds.small import node, service, territory

DOCS, CADASTRE, PHOTOS = "/srv/docs", "/srv/cadastre", "/srv/photos"


def with_paths(*paths: str, database: str = "") -> Service:
    return replace(service("docs-a", "commune-a"), paths=paths, database=database)


def sign(folder: Path, before: Service, after: Service, day: int) -> None:
    plans = [territory([node("commune-a")], [it]) for it in (before, after)]
    note_former(folder, plans[0], plans[1], f"2026-11-{day:02}T12:00:00Z")


def header(day: int, *missing: int) -> Header:
    document = Document("appliance/generation", {}, "", b"")
    time = f"2026-11-{day:02}T03:00:00Z"
    return Header("docs-a", 2, day, "", time, "", 1, 1, document, whole=not missing, missing=missing)


def older(day: int, *missing: int) -> Older:
    seconds = utc_seconds(f"2026-11-{day:02}T03:00:00Z")
    return Older(f"2.{day}", seconds, not missing, frozenset(missing))


def on(day: int) -> float:
    return utc_seconds(f"2026-11-{day:02}T03:00:00Z")


@pytest.mark.parametrize(
    ("today", "newest", "expected"),
    [
        (with_paths(CADASTRE, DOCS), header(10, 1), Missing(CADASTRE, on(8))),
        (with_paths(PHOTOS, DOCS), header(10, 1), Missing(CADASTRE, on(8))),
        (with_paths(DOCS), header(10, 1), Missing(CADASTRE, on(8))),
        (with_paths(CADASTRE, DOCS), header(21, 0), Missing(CADASTRE, on(8))),
        (with_paths(PHOTOS, DOCS), header(21, 0), Missing(PHOTOS, None)),
        (with_paths(DOCS, CADASTRE, database="etat-civil"), header(21, 2), Missing("database etat-civil", None)),
    ],
    ids=["reordered", "renamed", "taken out", "reordered, sealed since", "renamed, sealed since", "a new database"],
)
def test_a_path_is_named_by_the_bundle_under_which_its_header_was_sealed(
    tmp_path: Path, today: Service, newest: Header, expected: Missing
) -> None:
    """Sealed on the 10th or the 21st; territory.yml was signed again on the 20th at noon."""
    sign(tmp_path, with_paths(DOCS, CADASTRE), today, 20)
    known = [older(10, 1), older(9, 1), older(8), older(7)]
    assert missing_of(tmp_path, today, newest, known) == (expected,)


def test_of_several_changes_the_first_one_after_a_header_says_what_its_indices_meant(tmp_path: Path) -> None:
    states = [with_paths(DOCS, CADASTRE), with_paths(CADASTRE, DOCS), with_paths(PHOTOS)]
    for before, after, day in zip(states, states[1:], (10, 20), strict=False):
        sign(tmp_path, before, after, day)
        sign(tmp_path, before, after, day)  # the node was cut before it took the bundle, and takes it again
    times = [on(day) for day in (9, 11, 21)]
    assert declared_at(tmp_path, states[-1], *times) == ((DOCS, CADASTRE), (CADASTRE, DOCS), (PHOTOS,))


def test_a_bundle_that_changes_no_path_writes_nothing_down_and_what_is_cut_short_is_passed_over(tmp_path: Path) -> None:
    same = with_paths(DOCS, CADASTRE)
    sign(tmp_path, same, replace(same, exclude=("*.tmp",)), 20)
    assert not (tmp_path / FILE).exists()
    (tmp_path / FILE).write_text('{"format": 1, "serv')
    assert declared_at(tmp_path, same, on(1)) == ((DOCS, CADASTRE),)
    sign(tmp_path, same, with_paths(DOCS), 20)
    assert declared_at(tmp_path, with_paths(DOCS), on(1)) == ((DOCS, CADASTRE),)


def test_no_more_changes_are_kept_than_would_be_read_in_a_moment(tmp_path: Path) -> None:
    for number in range(CHANGES_MAX + 5):
        before, after = with_paths(f"/srv/{number}"), with_paths(f"/srv/{number + 1}")
        plans = [territory([node("commune-a")], [it]) for it in (before, after)]
        note_former(tmp_path, plans[0], plans[1], f"20{26 + number}-11-20T12:00:00Z")
    assert declared_at(tmp_path, after, on(1)) == ((f"/srv/{5}",),)
