"""`appliance portal journal`: whether it is whole, and all of it for somebody who asks."""

from __future__ import annotations

import json

import click

from appliance.cli.output import emit, say
from appliance.cli.this_layout import this_layout
from appliance.clock import SystemClock
from appliance.portal.base.journal import NOTHING, ChainedJournal, Verified, check_heads
from appliance.portal.places import Places
from appliance.units import format_count

head_option = click.option(
    "--head", "heads", multiple=True, metavar="HASH", help="A hash that an earlier look ended with; may be given again."
)


@click.group()
def journal() -> None:
    """Who signed in, looked for, saw and brought back what on the pages: chains that nobody changes unseen.

    The pages write one, and their worker, which carries out what was asked, another.
    """


@journal.command()
@head_option
def verify(heads: tuple[str, ...]) -> None:
    """Follow both chains from their first lines; with --head, say that what was there then is there still."""
    pages, worker = _verified(heads)
    data = {"lines": pages.lines, "head": pages.head, "worker_lines": worker.lines, "worker_head": worker.head}
    emit(data, f"{_told(pages, worker)}. Note both to verify them later:\n{pages.head}\n{worker.head}")


@journal.command()
@head_option
def export(heads: tuple[str, ...]) -> None:
    """Print every line as it is stored, those of the pages first, once both chains are verified; on standard error the
    hashes that they end with."""
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
    places, clock = Places.of(this_layout()), SystemClock()
    return ChainedJournal(places.journal, clock), ChainedJournal(places.worker_journal, clock)
