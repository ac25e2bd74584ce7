"""`appliance lab bench`: the figures of docs/results, measured on this machine."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import click

from appliance.cli.output import emit, say
from appliance.errors import WARNINGS
from appliance.units import parse_bytes
from appliance_lab.bench.bench import QUICK, Size
from appliance_lab.bench.report import render, values, write
from appliance_lab.bench.run import chosen, measure


@click.command()
@click.option("--rows", metavar="NAME,...", help="Measure only these rows of the result.")
@click.option("--runs", type=click.IntRange(1, 100), help="How often each is measured, 5 by default.")
@click.option("--size", metavar="SIZE", help="Bytes of the documents, 2G by default.")
@click.option("--files", type=click.IntRange(100), help="How many documents, 20,000 by default.")
@click.option(
    "--quick", is_flag=True, help="A tiny run that shows that it works; the figures mean nothing and stay in build/."
)
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path), help="The folder of the result: docs/results.")
@click.option(
    "--note", "notes", metavar="TEXT", multiple=True, help="What else the machine is doing; noted in the result."
)
@click.option("--work", metavar="DIR", type=click.Path(path_type=Path), default="build/bench", show_default=True)
def bench(
    rows: str | None,
    runs: int | None,
    size: str | None,
    files: int | None,
    quick: bool,
    out: Path | None,
    notes: tuple[str, ...],
    work: Path,
) -> int | None:
    """Measure our figures and those of borg and borgmatic on this machine, in turns, with every fsync and check on.

    Takes about 40 minutes and 20 GB on two otherwise idle cores. Exits with 1 when a row could not be measured.
    """
    how = QUICK if quick else Size()
    how = replace(
        how,
        runs=runs or how.runs,
        documents_bytes=parse_bytes(size) if size else how.documents_bytes,
        documents_files=files or how.documents_files,
    )
    names = chosen([name for name in (rows or "").split(",") if name])
    command = " ".join(("appliance", *sys.argv[1:]))
    folder = out or (work.with_name("bench-results") if quick else Path("docs/results"))
    result = replace(measure(work, how, names, command=command, now=time.time(), say=say), noted=notes)
    page = write(folder, result)
    emit(values(result), render(result))
    say(f"Written: {page} and {page.with_suffix('.json').name}")
    return None if result.complete else WARNINGS
