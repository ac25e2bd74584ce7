"""The file that the share lost since Monday, and one call that brings it back."""

from __future__ import annotations

import os
from pathlib import Path

from appliance.borg.client import Borg
from appliance.restore import jobs
from appliance.restore.fill import Fill
from appliance.restore.job import Job
from appliance_lab.checkers.tree_record import Record

NOW = 1_795_600_000.0
AS_ROOT = os.geteuid() == 0
LOST = "Conseil/2026/Délibération 12.odt"


def restore(restores: Path, borg: Borg, paths: list[str], in_place: Path | None = None) -> Job:
    planned = jobs.plan(restores, borg, "monday", paths, now=NOW, in_place=in_place)
    return jobs.run(restores, planned.id, borg, age_seconds=0)


def contents(before: Record) -> dict[str, tuple[str, str]]:
    """Paths with what they hold, folders and times aside."""
    return {path: (entry.sha256, entry.target) for path, entry in before.entries.items() if entry.kind != "folder"}


FILLS = (Fill(LOST, "monday"), Fill("Conseil/2026/facture\udcff.pdf", "monday"))
