"""`appliance portal journal`: whether it is whole, and all of it for somebody who asks."""

from __future__ import annotations

import json

import click

from appliance.cli.output import emit, say
from appliance.cli.this_layout import this_layout
from appliance.clock import SystemClock
from appliance.portal.base.journal import ChainedJournal
from appliance.portal.places import Places
from appliance.units import format_count

head_option = click.option("--head", default="", metavar="HASH", help="The hash that an earlier look ended with.")


@click.group()
def journal() -> None:
    """Who signed in, looked for, saw and brought back what on the pages: a chain that nobody changes unseen."""


@journal.command()
@head_option
def verify(head: str) -> None:
    """Follow the chain from its first line; with --head, say that what was there then is there still."""
    found = _journal().verify(head)
    data = {"lines": found.lines, "head": found.head}
    emit(data, f"{format_count(found.lines, 'line')}, whole. Note this to verify it later:\n{found.head}")


@journal.command()
@head_option
def export(head: str) -> None:
    """Print every line as it is stored, once the chain is verified; on standard error the hash that it ends with."""
    kept = _journal()
    found = kept.verify(head)
    for entry in kept.entries():
        click.echo(json.dumps(entry))
    say(f"{format_count(found.lines, 'line')}, whole, ending with {found.head}")


def _journal() -> ChainedJournal:
    return ChainedJournal(Places(this_layout().portal).journal, SystemClock())
