"""`appliance restore detect-attack`: the burst in which files were rewritten, and the archive to go back to."""

from __future__ import annotations

from typing import Any

import click

from appliance.cli.arguments import command
from appliance.cli.output import emit, say
from appliance.cli.restore.options import paper_option, service_option, source_option
from appliance.cli.restore.source import catalogue_of, only_service, open_source
from appliance.cli.this_node import this_node
from appliance.clock import utc_text
from appliance.restore.attack import Attack, attacks, hit_files
from appliance.units import format_count, printable


@click.command()
@service_option
@click.option(
    "--limit",
    type=click.IntRange(0, 10_000),
    default=10,
    show_default=True,
    help="How many of the last rewritten files to show.",
)
@source_option
@paper_option
def detect_attack(service: str | None, limit: int, source: str, paper: bool) -> None:
    """Report when many files were rewritten within minutes, and the last archive before that.

    It compares with what is usual in this service. If it finds nothing unusual, that is no proof that there was no
    attack.
    """
    node = this_node()
    name = service or only_service(node)
    opened = open_source(node, name, source, paper=paper)
    with catalogue_of(node, name, opened) as catalogue:
        found = attacks(catalogue)
        files = [it.path for it in hit_files(catalogue, found[0], limit=limit)] if found else []
    lines = [_sentence(it) for it in found] or [f"Nothing unusual was found in {name}; that is no proof."]
    lines += [f"  {printable(path)}" for path in files]
    emit({"service": name, "attacks": [_json(it) for it in found], "files": files}, "\n".join(lines))
    if found:
        words = ("restore", "all", "--service", name, "--archive", found[0].safe.archive, "--to", "DIR")
        say(f"Next: {command(*words)}")


def _json(found: Attack) -> dict[str, Any]:
    start, end = found.burst.window or (None, None)
    return {
        "safe_archive": found.safe.archive,
        "safe_time": utc_text(found.safe.start_seconds),
        "hit": found.hit,
        "changed": found.burst.changed,
        "gone": found.burst.gone,
        "from": utc_text(start) if start else None,
        "to": utc_text(end) if end else None,
        "ending": found.ending or None,
    }


def _sentence(found: Attack) -> str:
    window = found.burst.window
    when = f"between {utc_text(window[0])} and {utc_text(window[1])}" if window else "at an unknown time"
    ending = f", now ending with {found.ending}" if found.ending else ""
    return (
        f"{format_count(found.hit, 'file')} rewritten or removed {when}{ending}; the last archive before it is "
        f"{found.safe.archive} of {utc_text(found.safe.start_seconds)}."
    )
