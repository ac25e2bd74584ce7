"""A folder that is ordered of a copy that lacks some of it: what is missing comes from an older one, with its day."""

from __future__ import annotations

import zipfile
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from appliance.borg.client import Borg
from appliance.clock import utc_seconds
from appliance.restore.carry import Ground, carry_out
from appliance.restore.fill import Fill
from appliance.restore.order import Kind, load_status, order_folder, place_order, result_of

NOW = 1_795_600_000.0
OLD = "docs-1.1-2026-11-20T07:00:00Z-000001"
FOLDER = "Conseil/2026"
PLAN = f"{FOLDER}/plan.tif"


@pytest.fixture
def ground(tmp_path: Path, share: Path, borg: Borg) -> Ground:
    """What OLD has and "tuesday" lacks is a plan."""
    (share / PLAN).write_text("the plan")
    borg.create(OLD, ["."], cwd=share)
    (share / PLAN).unlink()
    return Ground(
        orders=tmp_path / "state/orders",
        restores=tmp_path / "state/restores",
        live=share,
        shares=("/Conseil",),
        may_replace=False,
        zone=ZoneInfo("Europe/Paris"),
        open_borg=lambda on_progress: Borg(borg.repository, on_progress),
        fills=lambda borg, order: (Fill(PLAN, OLD),),
    )


@pytest.mark.parametrize("kind", ["download", "folder"])
def test_what_a_partial_copy_lacks_of_a_folder_comes_from_an_older_one_with_its_day(
    ground: Ground, share: Path, kind: Kind
) -> None:
    asked = place_order(
        ground.orders,
        person="marie",
        service="docs",
        kind=kind,
        archive="tuesday",
        moment_seconds=NOW,
        paths=[FOLDER],
        share="Conseil",
        now=NOW,
    )
    done = carry_out(ground, asked.id, now=NOW, age_seconds=0)
    assert done.state == "ready"
    assert done.older == ((PLAN, str(utc_seconds("2026-11-20T07:00:00Z"))),)
    assert load_status(order_folder(ground.orders, asked.id)).older == done.older
    if kind == "download":
        with zipfile.ZipFile(result_of(ground.orders, asked.id)) as made:
            assert {"2026/plan.tif", "2026/new.odt"} <= set(made.namelist())
    else:
        assert {it.name for it in (share / done.result).iterdir()} == {"plan.tif", "new.odt"}
