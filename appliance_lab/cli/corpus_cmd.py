"""`appliance lab corpus`: the documents of a town hall that never was, for tests, the demo and benchmarks."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from appliance.cli.arguments import dry_run_option
from appliance.errors import UsageError
from appliance.units import format_bytes, format_count, parse_bytes
from appliance_lab.corpus import Progress, Summary, change, generate, planned, planned_change


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--size", default="200M", show_default=True, help="Bytes of all files together.")
@click.option("--files", default=3000, show_default=True, help="How many regular files.")
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same corpus.")
@click.option("--change", "ratio", metavar="SHARE", help="Change this percentage of the corpus in DIR, for example 1%.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@dry_run_option
def corpus(folder: Path, size: str, files: int, seed: int, ratio: str | None, as_json: bool, dry_run: bool) -> None:
    """Generate the documents of a French town hall in DIR, a new or empty folder, or change those generated before."""
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
    """Return what would be made in `folder`, or changed there, as data and as a sentence."""
    if ratio is None:
        kinds = planned(folder, parse_bytes(size), files, seed)
        named = ", ".join(f"{count} {kind}" for kind, count in kinds.items() if count)
        text = f"{folder}: {files} files of {format_bytes(parse_bytes(size))} in all would be made: {named}."
        return {"dry_run": True, "files": files, "bytes": parse_bytes(size), "kinds": dict(kinds)}, text
    marker, bytes_new = planned_change(folder, parse_share(ratio))
    text = (
        f"{folder}: about {format_bytes(bytes_new)} would be new, in change number {marker.changes + 1} of this corpus."
    )
    return {"dry_run": True, "files": marker.files, "bytes": marker.size_bytes, "bytes_new": bytes_new}, text


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
        raise UsageError(
            f'"{text}" is not a percentage or a fraction.', remedy="Write for example 1% or 0.01."
        ) from None


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
