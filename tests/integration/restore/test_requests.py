"""A request of the portal is carried out once, whatever is cut; a sentence says when it cannot be."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.borg.client import Borg
from appliance.borg.contents import Contents
from appliance.borg.model import Progress
from appliance.errors import IntegrityError, NotFound, Unreachable, UsageError
from appliance.host.files import locked
from appliance.restore import jobs
from appliance.restore import process as processing
from appliance.restore.ended import RESULT_KEPT_SECONDS, expire_requests
from appliance.restore.process import RestoreEnv, ask_again, process, undo_request
from appliance.restore.request import (
    Kind,
    all_requests,
    load_status,
    reached,
    request_folder,
    result_of,
)
from appliance.restore.undo import KEPT_SECONDS
from tests.integration.restore.portal_requests import BUDGET, NOW, SHARE, borg, carried, env, live, order

__all__ = ["borg", "env", "live"]  # fixtures

DATED = f"{SHARE}/Finances/budget 2026 (version du 23 novembre 8 h).ods"


def test_one_file_is_downloaded_as_it_is(env: RestoreEnv) -> None:
    asked = order(env, "download", BUDGET)
    assert [(it.person, status.state) for it, status in all_requests(env.requests)] == [("marie", "waiting")]
    with pytest.raises(NotFound, match="nothing to download"):
        result_of(env.requests, asked.id)
    done = carried(env, asked)
    assert (done.state, done.result) == ("ready", "budget 2026 (version du 23 novembre 8 h).ods")
    assert result_of(env.requests, asked.id).read_text() == "monday's budget"
    assert done.size == len("monday's budget")
    status = result_of(env.requests, asked.id).stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o600, os.geteuid()), "whosever it was"
    assert list(env.restores.glob("*")) == [], "the job is not kept beside its result"
    assert carried(env, asked) == done


def test_a_folder_is_downloaded_as_a_zip_without_what_no_pc_opens(env: RestoreEnv) -> None:
    asked = order(env, "download", f"{SHARE}/Finances")
    done = carried(env, asked)
    assert done.result == "Finances (version du 23 novembre 8 h).zip"
    with zipfile.ZipFile(result_of(env.requests, asked.id)) as made:
        names = {it for it in made.namelist() if not it.endswith("/")}
    expected = {"budget 2026.ods", "factures/a_b.pdf", "factures/factureé.pdf"}
    assert {it for it in names if it.startswith("Finances/")} == {f"Finances/{it}" for it in expected}
    assert {kind for _, kind in done.left_out} >= {"lien", "tube"}
    assert done.changed_names == 2
    several = carried(env, order(env, "download", BUDGET, f"{SHARE}/Conseil/ordre du jour.odt"))
    assert several.result == "fichiers (version du 23 novembre 8 h).zip"


def test_a_copy_comes_to_lie_beside_the_original_and_is_taken_away_again(env: RestoreEnv, live: Path) -> None:
    first, second = (order(env, "beside", BUDGET) for _ in range(2))
    assert carried(env, first).result == DATED
    assert carried(env, second).result == DATED.replace(".ods", " 2.ods")
    assert (live / BUDGET).read_text() == "a wrong budget"
    assert (live / DATED).read_text() == "monday's budget"
    assert undo_request(env, first.id, age_seconds=0).state == "undone"
    assert not (live / DATED).exists()
    assert (live / BUDGET).read_text() == "a wrong budget"


def test_a_folder_beside_which_its_own_name_stands_is_whole(env: RestoreEnv, live: Path) -> None:
    done = carried(env, order(env, "beside", f"{SHARE}/Finances"))
    assert done.result == f"{SHARE}/Finances (version du 23 novembre 8 h)"
    assert (live / done.result / "factures/facture\udce9.pdf").read_text() == "another"
    assert (live / BUDGET).read_text() == "a wrong budget"


def test_in_place_the_present_file_is_kept_and_undo_brings_it_back(env: RestoreEnv, live: Path) -> None:
    asked = order(env, "in-place", BUDGET)
    assert carried(env, asked).result == BUDGET
    assert (live / BUDGET).read_text() == "monday's budget"
    assert undo_request(env, asked.id, age_seconds=0) == undo_request(env, asked.id, age_seconds=0)
    assert (live / BUDGET).read_text() == "a wrong budget"


def test_after_an_attack_everything_comes_into_a_new_folder_of_the_share(env: RestoreEnv, live: Path) -> None:
    done = carried(env, order(env, "folder", SHARE))
    assert done.result == f"{SHARE}/Retrouvé du 23 novembre 8 h"
    assert (live / done.result / "Finances/budget 2026.ods").read_text() == "monday's budget"
    assert (live / BUDGET).read_text() == "a wrong budget"
    some = carried(env, order(env, "folder", BUDGET, f"{SHARE}/Conseil"))
    assert some.result == f"{SHARE}/Retrouvé du 23 novembre 8 h 2/Finances/budget 2026.ods"
    assert (live / some.result).parents[1].joinpath("Conseil/ordre du jour.odt").read_text() == "the agenda"


def test_a_whole_share_is_replaced_with_a_signed_act_only(env: RestoreEnv, live: Path) -> None:
    asked = order(env, "in-place", SHARE)
    refused = carried(env, asked)
    assert (refused.state, refused.cause) == ("failed", "Refused")
    assert (live / BUDGET).read_text() == "a wrong budget"
    assert ask_again(env.requests, asked.id).state == "waiting"
    signed = dataclasses.replace(env, may_replace=True)
    assert carried(signed, asked).state == "ready"
    assert (live / BUDGET).read_text() == "monday's budget"
    assert (live / SHARE / "Conseil/ordre du jour.odt").exists()


@pytest.mark.parametrize("path", [f"{SHARE}/Finances/lien", f"{SHARE}/Finances/tube"])
def test_a_link_or_a_pipe_is_no_download_and_is_put_beside_as_it_is(env: RestoreEnv, live: Path, path: str) -> None:
    failed = carried(env, order(env, "download", path))
    assert (failed.state, failed.cause) == ("failed", "UsageError")
    assert "a link, a device or a pipe" in failed.failure
    beside = carried(env, order(env, "beside", path))
    kind = stat.S_IFMT(os.lstat(live / path).st_mode)
    assert stat.S_IFMT(os.lstat(live / beside.result).st_mode) == kind


BAD_ORDERS: list[tuple[Kind, tuple[str, ...]]] = [
    ("download", ()),
    ("download", ("etc/passwd",)),
    ("download", (f"{SHARE}/../rh/paie.ods",)),
    ("download", (f"/{SHARE}/a",)),
    ("download", (f"{SHARE}2/a",)),
    ("download", (BUDGET, "")),
    ("download", (f"{BUDGET}\0",)),
    ("download", tuple(f"{SHARE}/{number}" for number in range(20_001))),
    ("beside", (SHARE,)),
]


@pytest.mark.parametrize(("kind", "paths"), BAD_ORDERS)
def test_what_lies_elsewhere_is_never_ordered(env: RestoreEnv, kind: Kind, paths: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        order(env, kind, *paths)
    assert list(all_requests(env.requests)) == []


FORGED = [
    {"paths": ["etc/shadow"], "share": "etc"},
    {"paths": [f"{SHARE}/../../x"]},
    {"paths": [f"{BUDGET}\0"]},
    {"share": ""},
]


@pytest.mark.parametrize("change", FORGED)
def test_who_carries_out_trusts_no_order(env: RestoreEnv, change: dict[str, Any]) -> None:
    asked = order(env, "download", BUDGET)
    file = request_folder(env.requests, asked.id).asked / "order.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    assert carried(env, asked).cause in ("Forbidden", "UsageError")
    assert not request_folder(env.requests, asked.id).result.exists()


@pytest.mark.parametrize("raw", ["", "[]", '{"format": 2}', '{"format": 1, "paths": 7}'])
def test_an_order_that_cannot_be_read_is_a_sentence(env: RestoreEnv, raw: str) -> None:
    asked = order(env, "download", BUDGET)
    (request_folder(env.requests, asked.id).asked / "order.json").write_text(raw)
    with pytest.raises(IntegrityError, match="cannot be read"):
        carried(env, asked)


@pytest.mark.parametrize("name", ["", "..", "x", "../restores", "0" * 31, "0" * 32, "A" * 32])
def test_a_forged_name_is_no_order(env: RestoreEnv, name: str) -> None:
    for ask in (lambda: process(env, name, now=NOW, age_seconds=0), lambda: result_of(env.requests, name)):
        with pytest.raises(NotFound, match="does not exist"):
            ask()


def test_a_peer_that_stalls_is_told_and_the_order_goes_on_later(env: RestoreEnv) -> None:
    def stalled(on_progress: Callable[[Progress], None] | None) -> Borg:
        raise Unreachable("commune-b did not answer for 60 s.", remedy="Try again later.")

    asked = order(env, "download", BUDGET)
    failed = carried(dataclasses.replace(env, open_borg=stalled), asked)
    assert (failed.cause, failed.failure, failed.remedy) == (
        "Unreachable",
        "commune-b did not answer for 60 s.",
        "Try again later.",
    )
    with pytest.raises(UsageError, match="changed nothing"):
        undo_request(env, asked.id, age_seconds=0)
    ask_again(env.requests, asked.id)
    assert carried(env, asked).state == "ready"
    with pytest.raises(UsageError, match="did not fail"):
        ask_again(env.requests, asked.id)


def test_without_room_it_is_said_before_anything_is_written(env: RestoreEnv) -> None:
    large = dataclasses.replace(env, known=lambda request: Contents(1, 2**60))
    failed = carried(large, order(env, "download", BUDGET))
    assert failed.cause == "NoSpace"
    assert "more must be free" in failed.failure
    assert not env.restores.exists()


def test_room_is_counted_on_the_disk_of_the_share(env: RestoreEnv, live: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked_of: list[Path] = []
    monkeypatch.setattr(jobs, "check_room", lambda place, size: asked_of.append(place))
    monkeypatch.setattr(jobs, "_on_one_disk", lambda *words: False)
    assert carried(env, order(env, "beside", f"{SHARE}/Conseil/ordre du jour.odt")).state == "ready"
    assert live / SHARE in asked_of, "the folder is gone, the share is there"
    assert live not in asked_of


def test_what_is_ticked_twice_comes_back_once(env: RestoreEnv, live: Path) -> None:
    asked = order(env, "folder", f"{SHARE}/Finances/factures/a:b.pdf", BUDGET, f"{SHARE}/Finances", BUDGET)
    assert asked.paths == (f"{SHARE}/Finances",)
    assert (live / carried(env, asked).result / "factures/a:b.pdf").read_text() == "an invoice"


def test_where_the_share_is_not_nothing_is_put_in_place(env: RestoreEnv, tmp_path: Path) -> None:
    standby = dataclasses.replace(env, live=tmp_path / "standby")
    failed = carried(standby, order(env, "in-place", BUDGET))
    assert (failed.cause, failed.failure) == ("NotFound", "the shared folder is not on this machine.")
    assert carried(standby, order(env, "download", BUDGET)).state == "ready"


CUTS = ["tell", "plan", "run", "pack", "fsync_folder", "discard"]


@pytest.mark.parametrize("where", CUTS)
@pytest.mark.parametrize("kind", ["download", "beside"])
def test_a_killed_process_loses_nothing_and_the_next_goes_on(
    env: RestoreEnv, live: Path, monkeypatch: pytest.MonkeyPatch, where: str, kind: Kind
) -> None:
    asked = order(env, kind, f"{SHARE}/Finances")
    real: Any = getattr(processing, where)

    def cut(*words: Any, **names: Any) -> Any:
        real(*words, **names)
        raise KeyboardInterrupt

    monkeypatch.setattr(processing, where, cut)
    try:
        carried(env, asked)
    except KeyboardInterrupt:
        assert load_status(request_folder(env.requests, asked.id)).state in ("running", "ready")
    monkeypatch.undo()
    done = carried(env, asked)
    assert done.state == "ready"
    if kind == "download":
        with zipfile.ZipFile(result_of(env.requests, asked.id)) as made:
            assert made.testzip() is None
    else:
        assert (live / done.result / "budget 2026.ods").read_text() == "monday's budget"
        assert [it.name for it in (live / SHARE).iterdir()].count(Path(done.result).name) == 1


def test_killed_for_real_it_is_running_for_nobody_and_goes_on(env: RestoreEnv, tmp_path: Path) -> None:
    asked = order(env, "download", f"{SHARE}/Finances")
    program = (
        "import os, signal, sys; from pathlib import Path; from appliance.host.files import locked\n"
        "from appliance.host.layout import RequestFolders; from appliance.restore.request import *\n"
        "folder = request_folder(RequestFolders(Path(sys.argv[1]), Path(sys.argv[2]), 'docs'), sys.argv[3])\n"
        "with locked(folder.lock, what='it'):\n"
        "    save_status(folder, Status(state='running', step='extracting'))\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).parents[3]
    words = (sys.executable, "-c", program, str(env.requests.pages), str(env.requests.work), asked.id)
    assert subprocess.run(words, cwd=root, check=False).returncode == -9
    assert carried(env, asked).state == "ready"


def test_progress_is_told_in_bytes_and_files(env: RestoreEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processing, "TELL_EVERY_SECONDS", 0.0)
    asked = order(env, "download", f"{SHARE}/Finances")
    done = carried(env, asked)
    seen = reached(request_folder(env.requests, asked.id))
    assert seen.done_bytes == seen.total_bytes == len("monday's budgetan invoiceanother")
    assert seen.files == 2
    assert done.entries == 7
    request_folder(env.requests, asked.id).progress.write_text("cut")
    assert reached(request_folder(env.requests, asked.id)).done_bytes == 0


def test_a_result_is_kept_for_7_days_and_its_order_for_30(env: RestoreEnv, live: Path) -> None:
    asked, beside = order(env, "download", BUDGET), order(env, "beside", BUDGET)
    carried(env, asked, age=1000)
    carried(env, beside, age=1000)
    waiting = order(env, "download", BUDGET)
    assert expire_requests(env.requests, env.restores, age_seconds=1000 + RESULT_KEPT_SECONDS - 1) == 0
    assert expire_requests(env.requests, env.restores, age_seconds=1000 + RESULT_KEPT_SECONDS) == 1
    with pytest.raises(NotFound, match="nothing to download"):
        result_of(env.requests, asked.id)
    assert {status.state for _, status in all_requests(env.requests)} == {"expired", "ready", "waiting"}
    assert expire_requests(env.requests, env.restores, age_seconds=int(1000 + KEPT_SECONDS)) == 2
    assert [it.id for it, _ in all_requests(env.requests)] == [waiting.id]
    assert (live / DATED).exists()


def test_an_order_that_was_undone_is_kept_thirty_days_from_then(env: RestoreEnv) -> None:
    asked = order(env, "in-place", BUDGET)
    carried(env, asked, age=0)
    undo_request(env, asked.id, age_seconds=KEPT_SECONDS - 1)
    assert expire_requests(env.requests, env.restores, age_seconds=2 * KEPT_SECONDS - 2) == 0
    assert expire_requests(env.requests, env.restores, age_seconds=2 * KEPT_SECONDS - 1) == 1


def test_what_a_failed_download_had_taken_out_goes_and_what_another_replaced_stays(
    env: RestoreEnv, live: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*words: Any) -> None:
        raise OSError(errno.ENOSPC, "a path of somebody's")

    monkeypatch.setattr(processing, "pack", full)
    failed, beside = order(env, "download", f"{SHARE}/Finances"), order(env, "in-place", BUDGET)
    assert (carried(env, failed).cause, carried(env, beside).state) == ("NoSpace", "ready")
    assert load_status(request_folder(env.requests, failed.id)).failure == "the disk is full."
    assert len(list(env.restores.glob("*/files"))) == 2
    with locked(request_folder(env.requests, beside.id).lock, what="it"):
        assert expire_requests(env.requests, env.restores, age_seconds=RESULT_KEPT_SECONDS) == 1
    assert [it.parent.name for it in env.restores.glob("*/files")] == [
        load_status(request_folder(env.requests, beside.id)).job
    ]
    undo_request(env, beside.id, age_seconds=0)
    assert (live / BUDGET).read_text() == "a wrong budget"
