"""How often a restore has borg list its archive, which takes longer than all else where little comes back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.borg import argv
from appliance.borg.client import Borg
from appliance.borg.errors import PathMissing
from appliance.restore import jobs
from tests.integration.restore.restoring import FILLS, LOST, NOW, restore


@pytest.fixture
def listings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The archive of each listing that borg is asked for from now on."""
    asked: list[str] = []

    def note(make: Callable[..., tuple[str, ...]]) -> Callable[..., tuple[str, ...]]:
        return lambda path, archive, *more: [asked.append(archive), make(path, archive, *more)][1]

    for verb in ("list_outlines", "list_items", "dump_archive"):
        monkeypatch.setattr(argv, verb, note(getattr(argv, verb)))
    return asked


@pytest.mark.parametrize("paths", [[], [LOST], ["Conseil", "budget.ods", "link"]])
def test_one_restore_lists_its_archive_once(borg: Borg, restores: Path, listings: list[str], paths: list[str]) -> None:
    restore(restores, borg, paths)
    assert listings == ["monday"]


def test_a_restore_that_is_filled_lists_each_archive_once_to_examine_it(
    borg: Borg, share: Path, restores: Path, listings: list[str]
) -> None:
    borg.create("wednesday", ["link"], cwd=share)
    job = jobs.plan(restores, borg, "wednesday", [], now=NOW, fills=FILLS[:1])
    assert sorted(listings) == ["monday", "wednesday"]
    jobs.run(restores, job.id, borg, age_seconds=0)
    assert (job.target / LOST).read_text() == "the deliberation"


def test_an_archive_that_got_the_name_of_another_one_is_listed_again(borg: Borg, share: Path, restores: Path) -> None:
    assert jobs.contents_of(borg, "tuesday", ["Conseil"]).entries == 4
    borg.delete(["tuesday"])
    borg.create("tuesday", ["link"], cwd=share)
    with pytest.raises(PathMissing, match='"Conseil" is not in the archive tuesday'):
        jobs.contents_of(borg, "tuesday", ["Conseil"])
