"""Measure the rows that were asked for and say on what."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from appliance.clock import utc_text
from appliance.errors import ApplianceError, UsageError
from appliance.host.files import make_private_folder
from appliance.units import format_bytes, format_duration
from appliance_lab.bench.bench import Bench, Size, Skipped
from appliance_lab.bench.figures import Figure
from appliance_lab.bench.report import Result
from appliance_lab.bench.rows import ROWS
from appliance_lab.checkout import commit, first_line
from appliance_lab.story import machine


def chosen(names: Collection[str]) -> tuple[str, ...]:
    """The rows of `names` in their order, all when none is named; raise UsageError for one that there is not."""
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        raise UsageError(f'there is no row "{unknown[0]}".', remedy=f"Known: {', '.join(ROWS)}.")
    return tuple(name for name in ROWS if not names or name in names)


def measure(
    work: Path, size: Size, rows: Collection[str], *, command: str, now: float, say: Callable[[str], None]
) -> Result:
    """Measure `rows` in the folder `work`, which is gone afterwards; a row that fails is told and stops no other."""
    conditions = {"command": f"`{command}`", **_conditions(work, size)}
    bench = Bench(work.resolve(), size, say)
    figures: list[Figure] = []
    failed: dict[str, str] = {}
    left_out: dict[str, str] = {}
    try:
        for name in rows:
            started = time.monotonic()
            try:
                figures += ROWS[name](bench)
            except Skipped as reason:
                say(f"{name} is skipped: {reason}")
                left_out[f"row {name} skipped"] = str(reason)
            except ApplianceError as error:
                say(f"{name} failed: {error}")
                failed[f"row {name} failed"] = str(error)
            say(f"{name} took {format_duration(time.monotonic() - started)}")
    finally:
        bench.clean()
    return Result(utc_text(now)[:10], {**conditions, **left_out, **failed}, figures, complete=not failed)


def _conditions(work: Path, size: Size) -> Mapping[str, str]:
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    made = machine()
    disk = first_line("stat", "--file-system", "--format", "%T", str(make_private_folder(work)))
    return {
        "commit": commit(),
        "machine": f"{made['processor']}, {made['cores']} cores, {made['memory']}, Linux {made['kernel']}",
        "disk": f"{disk}; caches are warm",
        "load before": load,
        "programs": "; ".join(_versions()),
        "runs": f"{size.runs} of each, in turns",
        "documents": f"{format_bytes(size.documents_bytes)} in {size.documents_files:,} files, and 1 % changes a day",
        "hosts": "all on this machine over loopback, each with its own sshd: CPU is that of all hosts together",
    }


def _versions() -> tuple[str, ...]:
    python = f"Python {machine()['python']}"
    borgmatic = f"borgmatic {first_line('borgmatic', '--version')}" if shutil.which("borgmatic") else "no borgmatic"
    return first_line("borg", "--version"), borgmatic, first_line("ssh", "-V"), python
