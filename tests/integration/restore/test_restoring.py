"""Files that a secretary asks for come back, replaced ones are kept, and undo brings them back, wherever it is cut."""

from __future__ import annotations

import os
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from appliance.borg.client import Borg
from appliance.borg.contents import Contents
from appliance.borg.errors import PathMissing
from appliance.borg.model import Repository
from appliance.errors import ApplianceError, Busy, IntegrityError, NoSpace, NotFound, Refused, UsageError
from appliance.host.files import locked, make_private_folder
from appliance.restore import jobs
from appliance.restore.catalogue import catch_up, is_current
from appliance.restore.job import folder_of
from appliance.restore.job import jobs as all_jobs
from appliance.restore.schema import open_catalogue
from appliance.restore.search import contents_of, deleted, search, versions
from appliance.restore.undo import KEPT_SECONDS, expire, undo
from appliance_lab.checkers.tree_record import Record, compare, take
from tests.integration.restore.cuts import until_it_ends
from tests.integration.restore.restoring import AS_ROOT, FILLS, LOST, NOW, contents, restore


def same(before: Record, root: Path) -> list[str]:
    return [str(difference) for difference in compare(before, take(root, AS_ROOT))]


def test_a_lost_file_is_found_by_name_and_put_back(borg: Borg, share: Path, restores: Path, tmp_path: Path) -> None:
    with closing(open_catalogue(tmp_path / "catalogue.db")) as catalogue:
        assert catch_up(catalogue, borg).archives == 2
        (found,) = search(catalogue, "deliberation")
        assert found.deleted
        assert {gone.path for gone in deleted(catalogue)} == {LOST, "Conseil/2026/facture\udcff.pdf"}
        (version,) = versions(catalogue, found.path)
        assert versions(catalogue, "budget.ods")[0].size == len("a wrong budget")
    job = jobs.plan(restores, borg, version.archive, [version.path], now=NOW, in_place=share)
    done = jobs.run(restores, job.id, borg, age_seconds=0)
    assert (share / LOST).read_text() == "the deliberation"
    assert (done.state, done.warnings) == ("done", ())
    assert jobs.changes_of(restores, job.id) == {LOST: "new"}


def test_what_a_partial_archive_lacks_comes_from_older_ones_and_what_it_has_stays_new(
    borg: Borg, share: Path, restores: Path, tmp_path: Path
) -> None:
    os.chmod(share / "Conseil/2026", 0o2755)
    borg.create("wednesday", ["."], cwd=share)
    planned = jobs.plan(restores, borg, "wednesday", [], now=NOW, into=tmp_path / "back", fills=FILLS)
    assert planned.entries == len(list(share.rglob("*"))) + 1 + len(FILLS)
    assert planned.archives == ("wednesday", "monday")
    done = jobs.run(restores, planned.id, borg, age_seconds=0)
    assert (done.state, done.warnings) == ("done", ())
    assert (tmp_path / "back" / LOST).read_text() == "the deliberation"
    assert (tmp_path / "back/budget.ods").read_text() == "a wrong budget"
    assert (tmp_path / "back/Conseil/2026").stat().st_mode & 0o7777 == 0o2755, "not as it was on Monday"
    assert next(all_jobs(restores)).fills == FILLS, "it is kept with the job"


def test_a_filled_restore_in_place_is_undone_whole(borg: Borg, share: Path, restores: Path) -> None:
    before = take(share, AS_ROOT)
    planned = jobs.plan(restores, borg, "tuesday", [], now=NOW, in_place=share, fills=FILLS)
    jobs.run(restores, planned.id, borg, age_seconds=0)
    assert (share / LOST).read_text() == "the deliberation"
    undo(restores, planned.id, age_seconds=0)
    assert contents(take(share, AS_ROOT)) == contents(before)


def test_one_archive_cannot_lead_what_comes_from_another_out_of_the_folder(
    borg: Borg, share: Path, restores: Path, tmp_path: Path
) -> None:
    for path in (share / "Conseil/2026").iterdir():
        path.unlink()
    (share / "Conseil/2026").rmdir()
    os.symlink(tmp_path, share / "Conseil/2026")
    borg.create("wednesday", ["."], cwd=share)
    with pytest.raises(IntegrityError, match="contains a path through its own symlink"):
        jobs.plan(restores, borg, "wednesday", [], now=NOW, into=tmp_path / "back", fills=FILLS)


def test_what_the_catalogue_knows_is_planned_without_borg(borg: Borg, restores: Path, tmp_path: Path) -> None:
    nowhere = Borg(Repository(tmp_path / "nowhere", tmp_path / "nobase"))
    with closing(open_catalogue(tmp_path / "catalogue.db")) as catalogue:
        catch_up(catalogue, borg)
        for path in (LOST, "Conseil/2026/facture\udcff.pdf", "link"):
            known = contents_of(catalogue, "monday", path)
            assert known == jobs.contents_of(borg, "monday", [path])
            job = jobs.plan(restores, nowhere, "monday", [path], now=NOW, contents=known)
            jobs.run(restores, job.id, borg, age_seconds=0)
            assert os.path.lexists(job.target / path)
        for path in ("budget.ods", "Conseil/budget lié.ods"):
            alone = contents_of(catalogue, "monday", path)
            assert alone == Contents(1, len("the budget")), "restored alone, either name has the bytes"


def test_after_every_commit_and_only_then_the_catalogue_is_not_current(borg: Borg, share: Path, tmp_path: Path) -> None:
    with closing(open_catalogue(tmp_path / "catalogue.db")) as catalogue:
        for change in (
            lambda: None,
            lambda: borg.create("wednesday", ["link"], cwd=share),
            lambda: borg.delete([borg.archives()[0].name]),
            lambda: borg.compact(0),
        ):
            change()
            assert not is_current(catalogue, borg.repository)
            catch_up(catalogue, borg)
            list(borg.items("wednesday" if borg.archives()[-1].name == "wednesday" else "tuesday"))
            assert is_current(catalogue, borg.repository)


def test_everything_comes_back_identical_to_a_folder(borg: Borg, share: Path, restores: Path, tmp_path: Path) -> None:
    before = take(share, AS_ROOT)
    planned = jobs.plan(restores, borg, "tuesday", [], now=NOW, into=tmp_path / "out")
    jobs.run(restores, planned.id, borg, age_seconds=0)
    assert same(before, tmp_path / "out") == []


def test_names_that_look_alike_in_a_listing_are_told_apart(borg: Borg, restores: Path, tmp_path: Path) -> None:
    tree = make_private_folder(tmp_path / "tree")
    (tree / "a\udcfe").symlink_to("/etc")
    (tree / "a\udcff").mkdir()
    (tree / "a\udcff" / "file").write_text("x")
    borg.create("alike", ["tree"], cwd=tmp_path)
    assert jobs.contents_of(borg, "alike", []) == Contents(4, 1)
    planned = jobs.plan(restores, borg, "alike", [], now=NOW)
    done = jobs.run(restores, planned.id, borg, age_seconds=0)
    assert contents(take(tree, AS_ROOT)) == contents(take(done.target / "tree", AS_ROOT))


def test_by_default_a_restore_goes_to_a_folder_of_its_own(borg: Borg, share: Path, restores: Path) -> None:
    before = take(share, AS_ROOT)
    job = restore(restores, borg, ["Conseil/2026/", "budget.ods"])
    assert (job.target / LOST).read_text() == "the deliberation"
    assert (job.target / "budget.ods").read_text() == "the budget"
    assert {path.name for path in job.target.iterdir()} == {"Conseil", "budget.ods"}
    assert same(before, share) == []
    assert [found.id for found in all_jobs(restores)] == [job.id]


def test_in_place_the_old_file_is_kept_and_undo_brings_it_back(borg: Borg, share: Path, restores: Path) -> None:
    before = take(share, AS_ROOT)
    job = restore(restores, borg, [], in_place=share)
    assert (share / "budget.ods").read_text() == "the budget"
    assert (share / "Conseil/2026/new.odt").read_text() == "written on tuesday"
    assert os.getxattr(share / "budget.ods", "user.note") == b"kept"
    assert (restores / job.id / "replaced/budget.ods").read_text() == "a wrong budget"
    undone = undo(restores, job.id, age_seconds=0)
    assert undone.state == "undone"
    assert contents(take(share, AS_ROOT)) == contents(before)
    assert (restores / job.id / "undone/budget.ods").read_text() == "the budget"
    assert undo(restores, job.id, age_seconds=0) == undone


def test_undo_keeps_what_was_edited_since(borg: Borg, share: Path, restores: Path) -> None:
    job = restore(restores, borg, ["budget.ods", LOST], in_place=share)
    (share / "budget.ods").write_text("corrected after the restore")
    (share / LOST).write_text("amended")
    undo(restores, job.id, age_seconds=0)
    assert (share / "budget.ods").read_text() == "a wrong budget"
    kept = restores / job.id / "undone"
    assert (kept / "budget.ods").read_text() == "corrected after the restore"
    assert (kept / LOST).read_text() == "amended"


@pytest.mark.parametrize("step", [1, 3])
def test_cut_anywhere_and_run_again_the_restore_and_its_undo_end(
    borg: Borg, share: Path, restores: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    before = contents(take(share, AS_ROOT))
    wanted = {"budget.ods", LOST, "link", "Conseil/budget lié.ods", "Conseil/2026/facture\udcff.pdf"}
    job = jobs.plan(restores, borg, "monday", [], now=NOW, in_place=share)

    def go_on() -> None:
        jobs.run(restores, job.id, borg, age_seconds=0)

    for _ in until_it_ends(go_on, monkeypatch, step):
        now = contents(take(share, AS_ROOT))
        assert set(before) <= set(now), "no name is ever without a file"
    restored = contents(take(share, AS_ROOT))
    assert wanted < set(restored)
    assert (share / "budget.ods").read_text() == "the budget"
    for _ in until_it_ends(lambda: undo(restores, job.id, age_seconds=0), monkeypatch, step):
        everything = contents(take(share, AS_ROOT)).values(), contents(take(restores, AS_ROOT)).values()
        assert set(before.values()) | set(restored.values()) <= {*everything[0], *everything[1]}
    assert contents(take(share, AS_ROOT)) == before


def test_an_extraction_that_was_cut_goes_on(borg: Borg, restores: Path, tmp_path: Path) -> None:
    job = jobs.plan(restores, borg, "monday", [], now=NOW, into=tmp_path / "out")
    borg.extract("monday", ["budget.ods"], tmp_path / "out")
    done = jobs.run(restores, job.id, borg, age_seconds=0)
    assert (tmp_path / "out" / LOST).read_text() == "the deliberation"
    assert jobs.run(restores, job.id, borg, age_seconds=99) == done


def test_one_job_is_run_by_one_process(borg: Borg, restores: Path) -> None:
    job = jobs.plan(restores, borg, "monday", ["budget.ods"], now=NOW)
    with locked(folder_of(restores, job.id).lock, what="it"), pytest.raises(Busy):
        jobs.run(restores, job.id, borg, age_seconds=0)


def test_what_an_undo_set_aside_is_kept_thirty_days_from_then(borg: Borg, share: Path, restores: Path) -> None:
    job = restore(restores, borg, ["budget.ods"], in_place=share)
    undo(restores, job.id, age_seconds=KEPT_SECONDS - 1)
    assert expire(restores, age_seconds=2 * KEPT_SECONDS - 2) == ()
    assert (restores / job.id / "undone/budget.ods").read_text() == "the budget"
    undo(restores, job.id, age_seconds=2 * KEPT_SECONDS - 2)
    assert expire(restores, age_seconds=2 * KEPT_SECONDS - 1) == (job.id,), "to ask again starts nothing over"


def test_two_jobs_of_one_second_have_two_names(borg: Borg, restores: Path) -> None:
    names = {jobs.plan(restores, borg, "monday", ["link"], now=NOW).id for _ in range(2)}
    assert len(names) == 2


def test_what_was_replaced_is_kept_thirty_days_by_the_ageing_clock(borg: Borg, share: Path, restores: Path) -> None:
    planned = jobs.plan(restores, borg, "monday", ["budget.ods"], now=NOW, in_place=share)
    waiting = jobs.plan(restores, borg, "monday", ["budget.ods"], now=NOW + 1, in_place=share)
    jobs.run(restores, planned.id, borg, age_seconds=1000)
    os.chmod(restores / planned.id / "replaced", 0o500)
    assert expire(restores, age_seconds=1000 + KEPT_SECONDS - 1) == ()
    assert expire(restores, age_seconds=1000 + KEPT_SECONDS) == (planned.id,)
    assert [job.id for job in all_jobs(restores)] == [waiting.id]
    with pytest.raises(NotFound):
        undo(restores, planned.id, age_seconds=0)


REFUSED: list[tuple[str, dict[str, str], type[ApplianceError], str]] = [
    ("absent.txt", {}, PathMissing, "absent.txt"),
    ("budget.ods", {"into": "share"}, UsageError, "not empty"),
    ("budget.ods", {"into": "share/budget.ods"}, UsageError, "not empty"),
    ("budget.ods", {"in_place": "absent"}, NotFound, "does not exist"),
    ("budget.ods", {"in_place": "share", "into": "out"}, UsageError, "not both"),
]


@pytest.mark.parametrize(("path", "target", "error", "words"), REFUSED)
def test_a_restore_that_cannot_be_is_refused_at_once(
    borg: Borg,
    restores: Path,
    tmp_path: Path,
    path: str,
    target: dict[str, str],
    error: type[ApplianceError],
    words: str,
) -> None:
    into, in_place = (tmp_path / target[name] if name in target else None for name in ("into", "in_place"))
    with pytest.raises(error, match=words):
        jobs.plan(restores, borg, "monday", [path], now=NOW, into=into, in_place=in_place)
    assert list(all_jobs(restores)) == []


def test_undo_needs_a_restore_that_ended_in_place(borg: Borg, share: Path, restores: Path) -> None:
    waiting = jobs.plan(restores, borg, "monday", ["link"], now=NOW, in_place=share)
    with pytest.raises(Refused, match="not finished"):
        undo(restores, waiting.id, age_seconds=0)
    with pytest.raises(UsageError, match="replaced nothing"):
        undo(restores, restore(restores, borg, ["link"]).id, age_seconds=0)
    for name in ("absent", "../share", ""):
        with pytest.raises(NotFound):
            undo(restores, name, age_seconds=0)


@pytest.mark.root
def test_too_little_room_is_said_with_what_is_missing_before_anything_is_written(
    borg: Borg, share: Path, restores: Path, tmp_path: Path
) -> None:
    (share / "big").write_bytes(os.urandom(20_000_000))
    borg.create("wednesday", ["."], cwd=share)
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=80M", "tmpfs", small], check=True)
    try:
        with pytest.raises(NoSpace, match=r"\d MiB more must be free"):
            jobs.plan(restores, borg, "wednesday", [], now=NOW, into=small / "out")
        assert not any(small.iterdir())
    finally:
        subprocess.run(["umount", small], check=True)


@pytest.mark.root
def test_in_place_on_another_disk_everything_is_kept_and_undone(
    borg: Borg, share: Path, restores: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200M", "tmpfs", other], check=True)
    try:
        subprocess.run(["cp", "-a", f"{share}/.", other], check=True)
        before = contents(take(other, AS_ROOT))
        job = restore(restores, borg, [], in_place=other)
        assert (other / "budget.ods").read_text() == "the budget"
        assert (restores / job.id / "replaced/budget.ods").read_text() == "a wrong budget"
        undo(restores, job.id, age_seconds=0)
        assert contents(take(other, AS_ROOT)) == before
    finally:
        subprocess.run(["umount", other], check=True)


@pytest.mark.root
def test_names_of_one_file_in_several_folders_are_so_again_on_another_disk(
    borg: Borg, share: Path, restores: Path, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        (share / name).mkdir()
        os.link(share / "budget.ods", share / name / "same.ods")
    borg.create("linked", ["."], cwd=share)
    other = tmp_path / "other"
    other.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200M", "tmpfs", other], check=True)
    try:
        job = jobs.plan(restores, borg, "linked", [], now=NOW, in_place=other)
        assert jobs.run(restores, job.id, borg, age_seconds=0).state == "done"
        assert {(other / name).stat().st_ino for name in ("budget.ods", "one/same.ods", "two/same.ods")} == {
            (other / "one/same.ods").stat().st_ino
        }
        assert contents(take(other, AS_ROOT)) == contents(take(share, AS_ROOT))
    finally:
        subprocess.run(["umount", other], check=True)


def test_an_archive_with_a_path_through_its_own_symlink_writes_nothing(
    borg: Borg, share: Path, restores: Path, tmp_path: Path
) -> None:
    """An archive is as trustworthy as the holder of the key: this one was made to write outside."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (share / "trap").mkdir()
    (share / "trap/file").write_text("written outside")
    words = ["trap/file"]
    borg.create("first-half", words, cwd=share)
    (share / "trap/file").unlink()
    (share / "trap").rmdir()
    os.symlink(outside, share / "trap")
    made = borg.create("hostile", ["trap", "trap/file", "link"], cwd=share)
    assert [warning.path for warning in made.warnings] == ["trap/file"]
    (outside / "file").write_text("x")
    borg.create("hostile-2", ["trap", "trap/file"], cwd=share)
    for paths in ([], ["trap/file"]):
        with pytest.raises(ApplianceError, match="its own symlink"):
            jobs.plan(restores, borg, "hostile-2", paths, now=NOW)
