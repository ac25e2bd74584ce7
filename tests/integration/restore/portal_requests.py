"""A share of which Monday is saved, and what is requested of it in the portal."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from appliance.borg.client import Borg
from appliance.borg.model import Repository
from appliance.host.layout import RequestFolders
from appliance.restore.process import RestoreEnv, process
from appliance.restore.request import Kind, RestoreRequest, Status, place_request
from appliance.secret import Secret

NOW = 1_795_600_000.0
MOMENT = 1_795_417_200.0  # monday, 8 h in Paris
SHARE = "srv/shares/docs"
BUDGET = f"{SHARE}/Finances/budget 2026.ods"


@pytest.fixture
def live(tmp_path: Path) -> Path:
    """Monday is saved; on Tuesday the budget is another and a folder is gone."""
    root = tmp_path / "live"
    for path, text in (
        ("Finances/budget 2026.ods", "monday's budget"),
        ("Finances/factures/a:b.pdf", "an invoice"),
        ("Finances/factures/facture\udce9.pdf", "another"),
        ("Conseil/ordre du jour.odt", "the agenda"),
    ):
        (root / SHARE / path).parent.mkdir(parents=True, exist_ok=True)
        (root / SHARE / path).write_text(text)
        (root / SHARE / path).chmod(0o444)
    os.symlink("/etc/passwd", root / SHARE / "Finances/lien")
    os.mkfifo(root / SHARE / "Finances/tube")
    return root


@pytest.fixture
def borg(tmp_path: Path, live: Path) -> Borg:
    made = Borg(Repository(tmp_path / "state/repository", tmp_path / "state/borg", Secret(b"phrase")))
    made.init()
    made.create("monday", [SHARE], cwd=live, timestamp="2026-11-23T07:00:00Z")
    (live / BUDGET).chmod(0o644)
    (live / BUDGET).write_text("a wrong budget")
    subprocess.run(("rm", "-r", str(live / SHARE / "Conseil")), check=True)
    return made


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
