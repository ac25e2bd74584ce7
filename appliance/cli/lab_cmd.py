"""`appliance lab`: what tests, the demo and benchmarks need; nothing here touches a node."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from appliance.cli.arguments import dry_run_option
from appliance.cli.lab_hosts_cmd import COMMANDS
from appliance.cli.lab_provision_cmd import provision
from appliance.cli.lab_story_cmd import story
from appliance.cli.output import emit, say
from appliance.errors import WARNINGS, UsageError
from appliance.lab.bench.bench import QUICK, Size
from appliance.lab.bench.report import render, values, write
from appliance.lab.bench.run import chosen, measure
from appliance.lab.corpus import Progress, Summary, change, generate, planned, planned_change
from appliance.units import format_bytes, format_count, parse_bytes


@click.group()
def lab() -> None:
    """Tools for tests and benchmarks."""


for verb, command in COMMANDS.items():
    lab.add_command(command, verb)
lab.add_command(provision)
lab.add_command(story)


@lab.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--size", default="200M", show_default=True, help="Bytes of all files together.")
@click.option("--files", default=3000, show_default=True, help="How many regular files.")
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same corpus.")
@click.option("--change", "ratio", metavar="SHARE", help="Change this share of the corpus in DIR, for example 1%.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@dry_run_option
def corpus(folder: Path, size: str, files: int, seed: int, ratio: str | None, as_json: bool, dry_run: bool) -> None:
    """Make the documents of a French town hall in DIR, a new or empty folder, or change those made there before."""
    if dry_run:
        told, text = _corpus_planned(folder, size, files, seed, ratio)
        click.echo(json.dumps(told) if as_json else text)
        return
    progress = percent_on_terminal("Changing the corpus" if ratio else "Making the corpus")
    if ratio is None:
        summary = generate(folder, parse_bytes(size), files, seed, progress)
    else:
        summary = change(folder, parse_share(ratio), progress)
    click.echo(json.dumps(asdict(summary)) if as_json else _sentences(folder, summary))


def _corpus_planned(folder: Path, size: str, files: int, seed: int, ratio: str | None) -> tuple[dict[str, Any], str]:
    """What would be made in `folder`, or changed there, as data and as a sentence."""
    if ratio is None:
        kinds = planned(folder, parse_bytes(size), files, seed)
        named = ", ".join(f"{count} {kind}" for kind, count in kinds.items() if count)
        text = f"{folder}: {files} files of {format_bytes(parse_bytes(size))} in all would be made: {named}."
        return {"dry_run": True, "files": files, "bytes": parse_bytes(size), "kinds": dict(kinds)}, text
    marker, bytes_new = planned_change(folder, parse_share(ratio))
    text = (
        f"{folder}: about {format_bytes(bytes_new)} would be new, by change number {marker.changes + 1} of this corpus."
    )
    return {"dry_run": True, "files": marker.files, "bytes": marker.size_bytes, "bytes_new": bytes_new}, text


@lab.command()
@click.option("--rows", metavar="NAME,...", help="Only these rows of the result.")
@click.option("--runs", type=click.IntRange(1, 100), help="How often each is measured, 5 by default.")
@click.option("--size", metavar="SIZE", help="Bytes of the documents, 2G by default.")
@click.option("--files", type=click.IntRange(100), help="How many documents, 20,000 by default.")
@click.option("--quick", is_flag=True, help="Tiny: shows that it runs; the figures mean nothing and stay in build/.")
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path), help="Where the result goes: docs/results.")
@click.option("--note", "notes", metavar="TEXT", multiple=True, help="What else the machine does; in the result.")
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
    """Measure our figures against borg and borgmatic on this machine, in turns, with every fsync and check on.

    Takes about 40 minutes and 20 GB on two cores that do nothing else. Ends with 1 when a row could not be measured.
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


def percent_on_terminal(label: str) -> Progress | None:
    """A progress that counts up on one line of standard error; None when that is no terminal."""
    if not sys.stderr.isatty():
        return None
    shown = -1

    def show(done: int, total: int) -> None:
        nonlocal shown
        percent = 100 * done // total
        if percent > shown:
            shown = percent
            click.echo(f"\r{label}: {percent:3} %", nl=percent == 100, err=True)

    return show


def parse_share(text: str) -> float:
    """0.01 for "1%" or "0.01"; raise UsageError when `text` is neither."""
    try:
        return float(text.removesuffix("%")) / 100 if text.endswith("%") else float(text)
    except ValueError:
        raise UsageError(f'"{text}" is not a share.', remedy="Write for example 1% or 0.01.") from None


def _sentences(folder: Path, summary: Summary) -> str:
    did = ", ".join(
        f"{count} {word}" for word in ("added", "changed", "deleted", "renamed") if (count := getattr(summary, word))
    )
    lines = [
        f"{folder}: {format_count(summary.files, 'file')}, {format_count(summary.folders, 'folder')}, "
        f"{format_count(summary.symlinks, 'symbolic link')}, "
        f"{format_bytes(summary.bytes)}.",
        f"{format_bytes(summary.bytes_new)} are new ({did}).",
    ]
    if summary.unsupported:
        lines.append(f"This file system refuses: {', '.join(sorted(set(summary.unsupported)))}.")
    return "\n".join(lines)
