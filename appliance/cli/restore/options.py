"""How people say which service, and from which source: the options of everything that restores."""

from __future__ import annotations

import click

from appliance.backup.writer.source_names import AUTO
from appliance.cli.arguments import SERVICE_TYPE
from appliance.cli.renamed import RenamedOption

LIMIT_MAX = 10_000

service_option = click.option(
    "--service",
    type=SERVICE_TYPE,
    help="Needed where this node may open more than one service and no path tells which.",
)
source_option = click.option(
    "--from",
    "source",
    default=AUTO,
    show_default=True,
    metavar="SOURCE",
    help="local (written here), standby (held here), peer:NAME, generation:2.7 (an older one), or auto: the best.",
)
paper_option = click.option(
    "--recovery-sheet",
    "paper",
    cls=RenamedOption,
    formerly="--paper",
    is_flag=True,
    help="Open it with the recovery key, typed without echo (or on standard input).",
)


def typed_source(source: str, *, paper: bool) -> tuple[str, ...]:
    """The words that open the same once more: what to type next has them, too."""
    return (*(("--from", source) if source != AUTO else ()), *(("--recovery-sheet",) if paper else ()))
