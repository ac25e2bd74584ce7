"""`appliance portal journal`: whether it is whole, and all of it for somebody who asks."""

from __future__ import annotations

import json

import click

from appliance.cli.group import Verbs
from appliance.cli.output import emit, say
from appliance.cli.this_layout import this_layout
from appliance.clock import SystemClock
from appliance.portal.base.journal import NOTHING, ChainedJournal, Verified, check_heads
from appliance.portal.paths import PortalPaths
from appliance.units import format_count

head_option = click.option(
    "--head",
    "heads",
    multiple=True,
    metavar="HASH",
    help="A hash printed by an earlier `verify` or `export`; may be repeated.",
)


@click.group(cls=Verbs)
def journal() -> None:
    """Show the journal of the pages: sign-ins, searches, views and restores, in tamper-evident chains.

    The pages write one chain; their worker, which carries out the requests, writes another.
    """


@journal.command()
@head_option
def verify(heads: tuple[str, ...]) -> None:
    """Verify both chains from their first lines; with --head, check that nothing noted earlier is missing."""
    pages, worker = _verified(heads)
    data = {"lines": pages.lines, "head": pages.head, "worker_lines": worker.lines, "worker_head": worker.head}
    emit(data, f"{_told(pages, worker)}. Note both to verify them later:\n{pages.head}\n{worker.head}")


@journal.command()
@head_option
def export(heads: tuple[str, ...]) -> None:
    """Verify both chains and print every line as stored, those of the pages first; standard error gets the last
    hashes."""
    pages, worker = _verified(heads)
    for kept in _journals():
        for entry in kept.entries():
            click.echo(json.dumps(entry))
    say(f"{_told(pages, worker)}, ending with {pages.head} and {worker.head}")


def _verified(heads: tuple[str, ...]) -> tuple[Verified, Verified]:
    pages, worker = _journals()
    found = pages.verify(), worker.verify()
    check_heads((pages, worker), (it for it in heads if it != NOTHING))
    return found


def _told(pages: Verified, worker: Verified) -> str:
    return f"{format_count(pages.lines, 'line')} of the pages and {worker.lines} of their worker, whole"


def _journals() -> tuple[ChainedJournal, ChainedJournal]:
    paths, clock = PortalPaths.of(this_layout()), SystemClock()
    return ChainedJournal(paths.journal, clock), ChainedJournal(paths.worker_journal, clock)
