"""Copies that lack something: what is ordered of them comes from an older one, and what is missing is not deleted."""

from __future__ import annotations

import os
import zipfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from appliance.borg.client import Borg
from appliance.borg.contents import Contents
from appliance.borg.errors import PathMissing
from appliance.clock import utc_seconds
from appliance.errors import IntegrityError
from appliance.host.layout import RequestFolders
from appliance.restore import jobs
from appliance.restore.catalogue import catch_up
from appliance.restore.ended import expire_requests
from appliance.restore.fill import Fill
from appliance.restore.gone import gone
from appliance.restore.process import RestoreEnv, ask_again, process
from appliance.restore.request import Kind, RestoreRequest, load_status, place_request, request_folder, result_of
from appliance.restore.schema import open_catalogue
from appliance.restore.search import deleted, search
from appliance.restore.undo import KEPT_SECONDS
from appliance.restore.unended import pinned

NOW = 1_795_600_000.0
OLD = "docs-1.1-2026-11-20T07:00:00Z-000001"
FOLDER = "Conseil/2026"
PLAN = f"{FOLDER}/plan.tif"


@pytest.fixture
def env(tmp_path: Path, share: Path, borg: Borg) -> RestoreEnv:
    """OLD has a plan that "tuesday" lacks."""
    (share / PLAN).write_text("the plan")
    borg.create(OLD, ["."], cwd=share)
    (share / PLAN).unlink()
    return RestoreEnv(
        requests=RequestFolders(tmp_path / "state/portal", tmp_path / "state/portal-work", "docs"),
        restores=tmp_path / "state/restores",
        live=share,
        shares=("/Conseil",),
        may_replace=False,
        zone=ZoneInfo("Europe/Paris"),
        open_borg=lambda on_progress: Borg(borg.repository, on_progress),
        fills=lambda borg, request: (Fill(PLAN, OLD),),
    )


def _asked(env: RestoreEnv, kind: Kind, archive: str) -> RestoreRequest:
    return place_request(
        env.requests,
        person="marie",
        service="docs",
        kind=kind,
        archive=archive,
        moment_seconds=NOW,
        paths=[FOLDER],
        share="Conseil",
        now=NOW,
    )


@pytest.mark.parametrize("kind", ["download", "folder"])
def test_what_a_partial_copy_lacks_of_a_folder_comes_from_an_older_one_with_its_day(
    env: RestoreEnv, share: Path, kind: Kind
) -> None:
    asked = _asked(env, kind, "tuesday")
    done = process(env, asked.id, now=NOW, age_seconds=0)
    assert done.state == "ready"
    assert done.older == ((PLAN, str(utc_seconds("2026-11-20T07:00:00Z"))),)
    assert load_status(request_folder(env.requests, asked.id)).older == done.older
    if kind == "download":
        with zipfile.ZipFile(result_of(env.requests, asked.id)) as made:
            assert {"2026/plan.tif", "2026/new.odt"} <= set(made.namelist())
    else:
        assert {it.name for it in (share / done.result).iterdir()} == {"plan.tif", "new.odt"}


def test_a_folder_of_which_nothing_could_be_read_is_filled_like_one_of_which_some_was(
    env: RestoreEnv, share: Path, borg: Borg
) -> None:
    """The catalogue counts one entry for one path, as for a file, and a file comes from an archive that has it."""
    (share / FOLDER).rename(share.parent / "unreadable")
    (share / FOLDER).mkdir()
    borg.create("wednesday", ["."], cwd=share)
    empty = replace(env, known=lambda request: Contents(1, 0))
    asked = _asked(empty, "download", "wednesday")
    assert process(empty, asked.id, now=NOW, age_seconds=0).older


def test_an_order_that_failed_before_it_put_anything_back_holds_its_archive_as_long_as_it_is_kept(
    env: RestoreEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its job was never ended by anybody, and no tidying could ever forget the archive."""

    def unreadable(*words: object, **more: object) -> None:
        raise IntegrityError("a segment is damaged.")

    monkeypatch.setattr(Borg, "extract", unreadable)
    asked = _asked(env, "folder", "tuesday")
    assert process(env, asked.id, now=NOW, age_seconds=1000).state == "failed"
    assert pinned(env.restores) == {"tuesday", OLD}
    expire_requests(env.requests, env.restores, age_seconds=int(1000 + KEPT_SECONDS) - 1)
    assert pinned(env.restores) == {"tuesday", OLD}, "it may be asked again"
    expire_requests(env.requests, env.restores, age_seconds=int(1000 + KEPT_SECONDS))
    assert pinned(env.restores) == frozenset()


def test_what_the_newest_archive_could_not_read_is_not_called_deleted_and_what_went_before_is(
    borg: Borg, share: Path, tmp_path: Path
) -> None:
    """On Monday an invoice and a deliberation were there; on Tuesday both were gone; on Wednesday the folder failed."""
    os.rename(share / "Conseil", tmp_path / "unplugged")
    borg.create("docs-1.9-2026-11-25T07:00:00Z-000001", ["."], cwd=share)
    for lacking, expected in ((["Conseil"], set()), ([], {"Conseil", "Conseil/2026/new.odt"})):
        with closing(open_catalogue(tmp_path / f"{len(lacking)}.db")) as catalogue:
            catch_up(catalogue, borg, lacking=lambda archive, of=lacking: of)  # type: ignore[misc]
            told = {it.path for it in deleted(catalogue)}
            assert {"Conseil/2026/Délibération 12.odt"} <= told
            assert told & {"Conseil", "Conseil/2026/new.odt"} == expected
            [found] = search(catalogue, "new.odt")
            assert found.deleted == bool(expected)
            assert {it.path for it in gone(catalogue)} >= {"Conseil/2026/Délibération 12.odt"}
            assert any(it.path == "Conseil" for it in gone(catalogue)) == bool(expected)


def test_what_an_archive_lacks_is_known_though_its_names_were_read_before_its_run_had_said_so(
    borg: Borg, share: Path, tmp_path: Path
) -> None:
    """A search between the end of an archive and its companion sees an archive without a manifest."""
    os.rename(share / "Conseil", tmp_path / "unplugged")
    borg.create("docs-1.9-2026-11-25T07:00:00Z-000001", ["."], cwd=share)
    with closing(open_catalogue(tmp_path / "names.db")) as catalogue:
        catch_up(catalogue, borg, lacking=lambda archive: [])
        assert "Conseil" in {it.path for it in deleted(catalogue)}
        catch_up(catalogue, borg, lacking=lambda archive: ["Conseil"])
        assert "Conseil" not in {it.path for it in deleted(catalogue)}


def test_what_is_wanted_alone_and_wholly_missing_comes_from_the_older_archive_alone(
    env: RestoreEnv, share: Path
) -> None:
    """The accounts of a replaced town hall: the last backup could not read them, and nothing came back, in silence."""
    borg = env.open_borg(None)
    job = jobs.plan(env.restores, borg, "tuesday", [PLAN], now=NOW, in_place=share, fills=(Fill(PLAN, OLD),))
    assert (job.entries, jobs.run(env.restores, job.id, borg, age_seconds=0).state) == (1, "done")
    assert (share / PLAN).read_text() == "the plan"
    with pytest.raises(PathMissing):
        jobs.plan(env.restores, borg, "tuesday", [PLAN, "Conseil/nowhere"], now=NOW, fills=(Fill(PLAN, OLD),))


def test_a_file_that_somebody_has_open_is_replaced_once_it_is_closed_and_a_whole_share_by_its_act(
    env: RestoreEnv, share: Path
) -> None:
    """A person who had it open saved into the old file, which was kept aside and which nobody looked at any more."""
    plan, alone = share / PLAN, replace(env, fills=lambda borg, request: ())
    plan.write_text("another plan")
    asked = _asked(alone, "in-place", OLD)
    with plan.open("a") as file:
        refused = process(alone, asked.id, now=NOW, age_seconds=0)
        assert (refused.state, refused.cause) == ("failed", "FilesOpen")
        assert "plan.tif" in refused.failure
        file.write(", saved")
        assert process(alone, _asked(alone, "folder", OLD).id, now=NOW, age_seconds=0).state == "ready"
    assert plan.read_text() == "another plan, saved"
    assert ask_again(env.requests, asked.id).state == "waiting"
    assert process(alone, asked.id, now=NOW, age_seconds=0).state == "ready"
    assert plan.read_text() == "the plan"
    signed = replace(alone, may_replace=True)
    plan.write_text("a ransom note")
    with plan.open("a"):
        whole = place_request(
            env.requests,
            person="marie",
            service="docs",
            kind="in-place",
            archive=OLD,
            moment_seconds=NOW,
            paths=["Conseil"],
            share="Conseil",
            now=NOW,
        )
        assert process(signed, whole.id, now=NOW, age_seconds=0).state == "ready", "no PC can stop it"
    assert plan.read_text() == "the plan"
