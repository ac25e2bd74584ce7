"""A share of which Monday is saved, and what is requested of it in the portal."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from appliance.borg.client import Borg
from appliance.host.layout import RequestFolders
from appliance.restore.process import RestoreEnv, process
from appliance.restore.request import Kind, RestoreRequest, Status, place_request
from tests.worlds.repositories import borg_at, copy_whole

NOW = 1_795_600_000.0
MOMENT = 1_795_417_200.0  # monday, 8 h in Paris
SHARE = "srv/shares/docs"
BUDGET = f"{SHARE}/Finances/budget 2026.ods"


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Monday is saved; on Tuesday the budget is another and a folder is gone. Each test gets a copy."""
    made = tmp_path_factory.mktemp("saved")
    live, borg = made / "live", borg_at(made)
    for path, text in (
        ("Finances/budget 2026.ods", "monday's budget"),
        ("Finances/factures/a:b.pdf", "an invoice"),
        ("Finances/factures/facture\udce9.pdf", "another"),
        ("Conseil/ordre du jour.odt", "the agenda"),
    ):
        (live / SHARE / path).parent.mkdir(parents=True, exist_ok=True)
        (live / SHARE / path).write_text(text)
        (live / SHARE / path).chmod(0o444)
    os.symlink("/etc/passwd", live / SHARE / "Finances/lien")
    os.mkfifo(live / SHARE / "Finances/tube")
    borg.init()
    borg.create("monday", [SHARE], cwd=live, timestamp="2026-11-23T07:00:00Z")
    (live / BUDGET).chmod(0o644)
    (live / BUDGET).write_text("a wrong budget")
    shutil.rmtree(live / SHARE / "Conseil")
    return made


@pytest.fixture
def borg(tmp_path: Path, saved: Path) -> Borg:
    copy_whole(saved, tmp_path)
    return borg_at(tmp_path)


@pytest.fixture
def live(tmp_path: Path, borg: Borg) -> Path:
    return tmp_path / "live"


@pytest.fixture
def env(tmp_path: Path, live: Path, borg: Borg) -> RestoreEnv:
    state = tmp_path / "state"
    return RestoreEnv(
        requests=RequestFolders(state / "portal", state / "portal-work", "docs"),
        restores=state / "restores",
        live=live,
        shares=(f"/{SHARE}",),
        may_replace=False,
        zone=ZoneInfo("Europe/Paris"),
        open_borg=lambda on_progress: Borg(borg.repository, on_progress),
    )


def order(env: RestoreEnv, kind: Kind, *paths: str) -> RestoreRequest:
    return place_request(
        env.requests,
        person="marie",
        service="docs",
        kind=kind,
        archive="monday",
        moment_seconds=MOMENT,
        paths=paths,
        share=SHARE,
        now=NOW,
    )


def carried(env: RestoreEnv, asked: RestoreRequest, age: int = 0) -> Status:
    return process(env, asked.id, now=NOW, age_seconds=age)
