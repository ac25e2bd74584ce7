"""Names of one file are joined again, and never at the price of what somebody wrote meanwhile."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from appliance.restore.links import from_json, groups_of, join, to_json

NAMES = ("a/f", "b/f", "c")


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    root = tmp_path / "stage"
    for folder in ("a", "b"):
        (root / folder).mkdir(parents=True)
    (root / "alone").write_text("alone")
    (root / NAMES[0]).write_text("one file")
    for name in NAMES[1:]:
        os.link(root / NAMES[0], root / name)
    return root


@pytest.fixture
def live(stage: Path, tmp_path: Path) -> Path:
    """Where each name was copied by itself."""
    root = tmp_path / "live"
    shutil.copytree(stage, root)
    return root


def test_names_of_one_file_are_found_and_kept_as_json(stage: Path) -> None:
    assert groups_of(stage) == (NAMES,)
    assert from_json(to_json(groups_of(stage))) == (NAMES,)


def test_copies_become_names_of_one_file_and_again_changes_nothing(stage: Path, live: Path) -> None:
    for _ in range(2):
        join(live, groups_of(stage))
        assert groups_of(live) == (NAMES,)
        assert (live / "a/f").read_text() == "one file"
        assert sorted(os.listdir(live)) == ["a", "alone", "b", "c"]


def test_folders_keep_their_times(stage: Path, live: Path) -> None:
    before = {folder: (live / folder).stat().st_mtime_ns for folder in ("a", "b", ".")}
    join(live, groups_of(stage))
    assert {folder: (live / folder).stat().st_mtime_ns for folder in before} == before


def test_what_was_written_meanwhile_stays(stage: Path, live: Path) -> None:
    (live / "b/f").write_text("an hour of work")
    join(live, groups_of(stage))
    assert (live / "b/f").read_text() == "an hour of work"
    assert groups_of(live) == (("a/f", "c"),)


def test_what_is_gone_or_leads_elsewhere_by_now_is_passed_over(stage: Path, live: Path, tmp_path: Path) -> None:
    shutil.rmtree(live / "b")
    os.symlink(tmp_path, live / "b")
    (live / "c").unlink()
    join(live, groups_of(stage))
    assert (live / "a/f").stat().st_nlink == 1
