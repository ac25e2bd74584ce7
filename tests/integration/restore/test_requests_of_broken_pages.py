"""Pages that were broken into write what they like where they write: nothing else is written, removed or read by it."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.errors import ApplianceError, IntegrityError, NotFound
from appliance.restore import process
from appliance.restore.ended import RESULT_KEPT_SECONDS, clear_ended, expire_requests
from appliance.restore.process import RestoreEnv, undo_request
from appliance.restore.request import (
    RequestFolder,
    RestoreRequest,
    Status,
    all_requests,
    load_status,
    names_of,
    result_of,
    untaken,
)
from appliance.restore.request_intake import take
from appliance.restore.undo import KEPT_SECONDS
from appliance.restore.undo_request import UndoRequest, undo_requests_of
from tests.integration.restore.forged_requests import FORGED, OURS
from tests.integration.restore.portal_requests import BUDGET, SHARE, borg, carried, env, live, order

__all__ = ["borg", "env", "live"]  # fixtures

BLOB = b"a file of another town"


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Path]:
    """A folder with a file; nothing of it may ever change."""
    folder = tmp_path / "vault"
    folder.mkdir()
    (folder / "blob").write_bytes(BLOB)
    yield folder
    assert [(it.name, it.read_bytes()) for it in folder.iterdir()] == [("blob", BLOB)]


def pages_of(env: RestoreEnv, asked: RestoreRequest) -> Path:
    """Where the pages write of an order."""
    return RequestFolder(env.requests, asked.id).asked


@pytest.mark.parametrize("name", OURS)
def test_a_link_under_any_name_is_written_through_by_nobody(
    env: RestoreEnv, victim: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(process, "TELL_EVERY_SECONDS", 0.0)
    asked = order(env, "download", f"{SHARE}/Finances")
    link = pages_of(env, asked) / name
    link.unlink(missing_ok=True)
    link.symlink_to(victim if name == "result" else victim / "blob")
    if name == "order.json":
        with pytest.raises(IntegrityError, match="cannot be read"):
            carried(env, asked)
        assert load_status(RequestFolder(env.requests, asked.id)).state == "failed"
    else:
        assert carried(env, asked).state == "ready"
        assert result_of(env.requests, asked.id).is_relative_to(env.requests.done)
    expire_requests(env.requests, env.restores, age_seconds=KEPT_SECONDS)
    expire_requests(env.requests, env.restores, age_seconds=KEPT_SECONDS)


@pytest.mark.parametrize("above", ["order", "service", "orders"])
def test_a_folder_on_the_way_that_is_a_link_is_not_followed(env: RestoreEnv, victim: Path, above: str) -> None:
    asked = order(env, "download", BUDGET)
    folder = pages_of(env, asked)
    place = {"order": folder, "service": folder.parent, "orders": folder.parents[1]}[above]
    aside = place.rename(env.requests.pages.parent / "aside")
    place.symlink_to(aside)
    with pytest.raises(IntegrityError, match="cannot be read"):
        carried(env, asked)
    expire_requests(env.requests, env.restores, age_seconds=KEPT_SECONDS)
    assert aside.is_dir()


@pytest.mark.parametrize("job", ["", ".", "..", "../services", "\0", "x" * 300, "theirs"])
def test_a_status_that_the_pages_forge_removes_no_restore_of_anybody(env: RestoreEnv, live: Path, job: str) -> None:
    mine = order(env, "in-place", f"{SHARE}/Conseil")
    theirs = carried(env, mine).job
    forged = order(env, "download", BUDGET)
    told = Status("failed", job=theirs if job == "theirs" else job, ended_age_seconds=0)
    (pages_of(env, forged) / "status.json").write_text(json.dumps({**dataclasses.asdict(told), "format": 1}))
    assert carried(env, forged).job != theirs
    for age in (RESULT_KEPT_SECONDS, KEPT_SECONDS):
        expire_requests(env.requests, env.restores, age_seconds=age)
    assert (env.restores / theirs / "job.json").is_file()
    with pytest.raises(ApplianceError, match=r"changed nothing|does not exist"):
        undo_request(env, forged.id, age_seconds=0)
    assert (live / SHARE / "Conseil/ordre du jour.odt").exists()


@pytest.mark.parametrize("change", FORGED, ids=lambda it: json.dumps(it)[:40])
def test_what_no_page_of_ours_writes_fails_once_and_others_are_carried_out(
    env: RestoreEnv, change: dict[str, Any]
) -> None:
    forged, good = order(env, "download", BUDGET), order(env, "download", BUDGET)
    file = pages_of(env, forged) / "order.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    taken_up, refused = _take_all(env)
    if change.get("paths") not in ("srv", {"a": 1}):  # those are lists of other paths, which nobody can restore
        assert (taken_up, refused) == ({good.id}, {forged.id})
        assert load_status(RequestFolder(env.requests, forged.id)).cause == "IntegrityError"
    assert _take_all(env) == (set(), set()), "nothing is looked at twice"
    assert carried(env, good).state == "ready"
    assert good.id in {it.id for it, _ in all_requests(env.requests)}


@pytest.mark.parametrize(
    "raw", [b"", b"[" * 100_000, b"\xff", b" " * (32 * 2**20 + 1)], ids=["empty", "deep", "bytes", "long"]
)
def test_bytes_that_are_no_order_are_a_sentence(env: RestoreEnv, raw: bytes) -> None:
    asked = order(env, "download", BUDGET)
    (pages_of(env, asked) / "order.json").write_bytes(raw)
    assert _take_all(env) == (set(), {asked.id})


@pytest.mark.parametrize(
    "make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)], ids=["pipe", "folder", "device"]
)
@pytest.mark.parametrize("name", ["order.json", "undo", "again", "status.json"])
def test_a_pipe_or_a_device_makes_nobody_wait(env: RestoreEnv, make: Callable[[Path], None], name: str) -> None:
    asked = order(env, "download", BUDGET)
    file = pages_of(env, asked) / name
    file.unlink(missing_ok=True)
    make(file)
    if name != "order.json":
        assert carried(env, asked).state == "ready"
        assert list(undo_requests_of(env.requests)) == []
    else:
        assert _take_all(env) == (set(), {asked.id})


def test_what_was_taken_up_is_not_what_the_pages_write_later(env: RestoreEnv, live: Path) -> None:
    asked = order(env, "download", BUDGET)
    _take_all(env)
    file = pages_of(env, asked) / "order.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "kind": "in-place", "person": "somebody else"}))
    assert carried(env, asked).state == "ready"
    assert (live / BUDGET).read_text() == "a wrong budget"
    assert [it.person for it, _ in all_requests(env.requests)] == ["marie"]


def test_an_order_is_over_once_and_never_carried_out_again(env: RestoreEnv, live: Path) -> None:
    """The record outlives what asks for it: else a restore in place came back by itself after thirty days."""
    asked = order(env, "in-place", BUDGET)
    carried(env, asked)
    (live / BUDGET).write_text("what was written since")
    expire_requests(env.requests, env.restores, age_seconds=KEPT_SECONDS)
    for _ in range(2):
        assert list(untaken(env.requests)) == list(all_requests(env.requests)) == []
        with pytest.raises(NotFound, match="has finished"):
            carried(env, asked)
        expire_requests(env.requests, env.restores, age_seconds=KEPT_SECONDS)
    assert (live / BUDGET).read_text() == "what was written since"
    clear_ended(env.requests)
    expire_requests(env.requests, env.restores, age_seconds=KEPT_SECONDS)
    assert names_of(env.requests) == set()


def test_each_time_that_somebody_asks_is_heard_once(env: RestoreEnv, live: Path) -> None:
    asked = order(env, "in-place", BUDGET)
    undo = UndoRequest(env.requests, asked.id)
    undo.ask()
    assert undo.state == "asked"
    carried(env, asked)
    (waits,) = undo_requests_of(env.requests)
    shutil.move(env.restores, aside := env.restores.with_name("aside"))
    assert waits.process(env, age_seconds=0)[1].state == "ready"
    assert undo.state == "failed"
    assert list(undo_requests_of(env.requests)) == []
    shutil.rmtree(env.restores, ignore_errors=True)
    shutil.move(aside, env.restores)
    undo.ask()
    (waits,) = undo_requests_of(env.requests)
    assert waits.process(env, age_seconds=0)[1].state == "undone"
    assert undo.state == ""
    assert (live / BUDGET).read_text() == "a wrong budget"


def _take_all(env: RestoreEnv) -> tuple[set[str], set[str]]:
    """The names of those that were taken up, and of those that were refused."""
    done: set[str] = set()
    refused: set[str] = set()
    for folder in untaken(env.requests):
        try:
            take(folder, age_seconds=0)
            done.add(folder.name)
        except IntegrityError:
            refused.add(folder.name)
    return done, refused
