"""`appliance territory check`, `show`, `plan`: read `territory.yml` and say what is in it; nothing is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import click

from appliance.cli import territory_text as text
from appliance.cli.arguments import read_file
from appliance.cli.output import emit
from appliance.config.load import load, territory_file
from appliance.config.placed import with_lines_of
from appliance.errors import IntegrityError, UsageError
from appliance.territory.change import changes
from appliance.territory.codec import placements_from_json, to_json
from appliance.territory.model import Placement
from appliance.territory.placement import place
from appliance.territory.survival import prove
from appliance.territory.voters import voters

FILE = click.argument("file", metavar="[FILE|DIR]", default=".", type=click.Path(path_type=Path))


@click.command()
@FILE
def check(file: Path) -> None:
    """Name every mistake in FILE, or in territory.yml of DIR, with its line; then what no copy survives."""
    found = load(file)
    with with_lines_of(file):
        placements = place(found)
    verdicts = prove(found, placements)
    name = str(territory_file(file))
    emit(text.checked_json(name, found, verdicts), text.checked_text(name, found, verdicts))


@click.command()
@FILE
def show(file: Path) -> None:
    """Show nodes with their zones, services, and who may sign which acts."""
    found = load(file)
    emit(to_json(found), text.territory_text(found))


@click.command()
@FILE
@click.option(
    "--from",
    "old",
    metavar="OLD",
    type=click.Path(path_type=Path),
    help="Keep copies where they are: OLD is the JSON of an earlier plan, the earlier territory.yml, or its folder.",
)
@click.option("--why", is_flag=True, help="Give the reason for every node, refused ones included.")
def plan(file: Path, old: Path | None, why: bool) -> None:
    """Show where each service's copies go and why, what that would move, what each survives, and who votes."""
    found = load(file)
    before = _read_plan(old) if old else None
    with with_lines_of(file):
        placements = place(found, before)
    moves = None if before is None else changes(found, before, placements)
    verdicts = prove(found, placements)
    told = [] if moves is None else [text.moves_text(moves)]
    told += [text.plan_text(found, placements, every_reason=why), text.survival_text(found, verdicts)]
    voting = voters(found)
    told.append(text.voters_text(voting, every_reason=why))
    emit(text.plan_json(found, placements, verdicts, moves or (), voting), "\n\n".join(told))


def _read_plan(old: Path) -> Mapping[str, Placement]:
    """The placements that `plan --json` wrote to `old`, or those of the territory in it."""
    if old.suffix != ".json":
        with with_lines_of(old):
            return place(load(old))
    try:
        return placements_from_json(json.loads(read_file(old))["placements"])
    except (ValueError, KeyError, TypeError, IntegrityError) as error:
        remedy = "Make one with `appliance territory plan --json`."
        raise UsageError("this is not a plan.", where=str(old), remedy=remedy) from error
