"""Looks at dashboards are written down, and a page that lies open only from time to time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from appliance.portal.dashboard.visits import AGAIN_SECONDS, KEPT_MAX, Visits

NOW = 1_800_000_000.0


def test_a_page_that_is_asked_for_again_and_again_is_one_visit() -> None:
    visits = Visits()
    moments = [NOW + 30 * number for number in range(int(2 * AGAIN_SECONDS) // 30)]
    written = [it for it in moments if visits.is_new("one", "territory", it)]
    assert written == [NOW, NOW + AGAIN_SECONDS]


def test_each_sign_in_and_each_kind_of_page_is_a_visit_of_its_own() -> None:
    visits = Visits()
    for session, page in (("one", "territory"), ("one", "map"), ("two", "territory")):
        assert visits.is_new(session, page, NOW)
        assert not visits.is_new(session, page, NOW + 1)


def test_a_clock_that_is_set_back_hides_no_visit() -> None:
    visits = Visits()
    assert visits.is_new("one", "map", NOW)
    assert visits.is_new("one", "map", NOW - 60)


def test_of_many_at_once_one_is_written_down() -> None:
    visits = Visits()
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda _: visits.is_new("one", "map", NOW), range(200)))
    assert said.count(True) == 1


def test_what_is_remembered_has_an_end() -> None:
    visits = Visits()
    for number in range(2 * KEPT_MAX):
        visits.is_new(str(number), "map", NOW + number)
    assert len(visits._noted) <= KEPT_MAX + AGAIN_SECONDS
