"""A restore that was cut and is given up: everything is as it was, and what it needed and disturbed is free again."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.borg.client import Borg
from appliance.errors import UsageError
from appliance.host.files import locked
from appliance.restore import jobs
from appliance.restore.job import folder_of, load
from appliance.restore.job import jobs as all_jobs
from appliance.restore.undo import give_up
from appliance.restore.unended import in_the_way, pinned
from appliance_lab.checkers.tree_record import take
from tests.integration.restore.cuts import Cut, cut_after, until_it_ends
from tests.integration.restore.restoring import AS_ROOT, LOST, NOW, contents, restore


def test_cut_anywhere_and_given_up_everything_is_as_it_was_before(
    borg: Borg, share: Path, restores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(take(share, AS_ROOT))
    for number in range(0, 200, 4):
        job = jobs.plan(restores, borg, "monday", [], now=NOW, in_place=share)
        with monkeypatch.context() as patch:
            cut_after(patch, number)
            try:
                jobs.run(restores, job.id, borg, age_seconds=0)
            except Cut:
                pass
            else:
                return
        for _ in until_it_ends(lambda job=job: give_up(restores, job.id, age_seconds=0), monkeypatch, 5):  # type: ignore[misc]
            assert set(before) <= set(contents(take(share, AS_ROOT))), "no name is ever without a file"
        assert contents(take(share, AS_ROOT)) == before
        assert not (restores / job.id / "files").exists()
        assert [it.state for it in all_jobs(restores)][-1] == "given-up"
    raise AssertionError("it never ends")


def test_given_up_what_was_edited_meanwhile_is_kept(
    borg: Borg, share: Path, restores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = jobs.plan(restores, borg, "monday", [], now=NOW, in_place=share)
    with monkeypatch.context() as patch:
        patch.setattr(jobs, "place_all", cut_at_once)
        with pytest.raises(Cut):
            jobs.run(restores, job.id, borg, age_seconds=0)
    (share / LOST).parent.mkdir(parents=True, exist_ok=True)
    (share / LOST).write_text("written by somebody else")
    (share / "budget.ods").write_text("corrected meanwhile")
    done = give_up(restores, job.id, age_seconds=7)
    assert (done.state, done.ended_age_seconds) == ("given-up", 7)
    assert (share / LOST).read_text() == "written by somebody else", "it was never placed"
    assert (share / "budget.ods").read_text() == "corrected meanwhile", "the same file by two names"
    with pytest.raises(UsageError, match="has finished"):
        give_up(restores, restore(restores, borg, ["budget.ods"], in_place=share).id, age_seconds=0)


def cut_at_once(*_: object) -> None:
    raise Cut


def test_an_unended_restore_pins_its_archive_until_it_has_what_it_needs(
    borg: Borg, share: Path, restores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = jobs.plan(restores, borg, "monday", [], now=NOW, in_place=share)
    assert pinned(restores) == {"monday"}
    with monkeypatch.context() as patch:
        patch.setattr(jobs, "place_all", cut_at_once)
        with pytest.raises(Cut):
            jobs.run(restores, job.id, borg, age_seconds=0)
    assert pinned(restores) == frozenset(), "all came out of it"
    other = jobs.plan(restores, borg, "monday", ["link"], now=NOW, in_place=share)
    assert pinned(restores) == {"monday"}
    give_up(restores, other.id, age_seconds=0)
    assert pinned(restores) == frozenset()


def test_a_restore_in_place_is_in_the_way_once_it_placed_anything(
    borg: Borg, share: Path, restores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = jobs.plan(restores, borg, "monday", ["Conseil"], now=NOW, in_place=share)
    assert in_the_way(restores, ["Conseil/2026"], share) is None
    with locked(folder_of(restores, job.id).lock, what="it"):
        assert in_the_way(restores, ["Conseil/2026"], share) == job, "it is at work"
    with monkeypatch.context() as patch:
        patch.setattr(jobs, "place_all", cut_at_once)
        with pytest.raises(Cut):
            jobs.run(restores, job.id, borg, age_seconds=0)
    assert in_the_way(restores, [], share)
    assert in_the_way(restores, ["budget.ods"], share) is None


def test_a_cut_restore_that_put_nothing_yet_does_not_go_on_among_the_files_of_another(
    borg: Borg, share: Path, restores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was in nobody's way, so another one began meanwhile, and was cut when it had put some of its files."""
    first = jobs.plan(restores, borg, "monday", ["Conseil"], now=NOW, in_place=share)
    second = jobs.plan(restores, borg, "tuesday", ["Conseil/2026"], now=NOW + 1, in_place=share)
    with monkeypatch.context() as patch:
        patch.setattr(jobs, "place_all", cut_at_once)
        with pytest.raises(Cut):
            jobs.run(restores, second.id, borg, age_seconds=0)
    second = load(folder_of(restores, second.id))
    assert in_the_way(restores, first.paths, share, begun=first) == second
    assert in_the_way(restores, second.paths, share, begun=second) is None, "it put something, and must be able to end"
    jobs.run(restores, second.id, borg, age_seconds=0)
    assert in_the_way(restores, first.paths, share, begun=first) is None
