"""`appliance territory check`, `show`, `plan`: read `territory.yml` and say what is in it; nothing is written.

`schema` says what may be in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from appliance.backup.chain.growth import early_pruning_days
from appliance.cli.arguments import read_file
from appliance.cli.output import emit, say
from appliance.cli.territory import text
from appliance.cli.territory.before import beside, is_bundle, read_before
from appliance.cli.territory.guesses import guesses, guesses_text
from appliance.cli.territory.roster_text import holes_text, this_week
from appliance.clock import SystemClock
from appliance.config.editing import schema_text, stale_schema
from appliance.config.json_schema import json_schema
from appliance.config.load import load, territory_file
from appliance.config.placement_errors import quota_places, with_lines_of
from appliance.config.remember import Next, follow
from appliance.errors import IntegrityError, UsageError
from appliance.territory.change import changes
from appliance.territory.codec import placements_from_json, plain, to_json
from appliance.territory.model import Placement
from appliance.territory.outcomes import outcomes
from appliance.territory.placement import place
from appliance.territory.survival import prove
from appliance.territory.voters import voters
from appliance.trust.former import NOBODY

FILE = click.argument("file", metavar="[FILE|DIR]", default=".", type=click.Path(path_type=Path))


@click.command()
@FILE
def check(file: Path) -> None:
    """List every mistake in FILE, or in territory.yml of DIR, with its line; then the events that destroy all copies.

    If a bundle is beside it, what nodes still hold of removed services and copies counts as used space.
    """
    if stale := stale_schema(file):
        say(text.stale_text(stale))
    found, before = load(file), beside(file)
    with with_lines_of(file):
        next_up = follow(before, found, now=SystemClock().now()) if before else None
        held_back = next_up.held_back if next_up else {}
        found = next_up.territory if next_up and held_back else found
        placements = place(found)
    proved = outcomes(found, placements)
    name = str(territory_file(file))
    told = [text.checked_text(name, found, proved)]
    is_pipe = not territory_file(file).is_file()  # which was read to its end
    short = text.short_quotas(found, {} if is_pipe else quota_places(file))
    told += [text.short_text(it) for it in short]
    told += [text.held_back_text(found, held_back)] if held_back else []
    guessed = guesses(found)
    told += [guesses_text(guessed)] if guessed else []
    days = early_pruning_days(found)
    told += [text.early_pruning_text(days)] if days else []
    told += [text.kept_text(next_up.kept)] if next_up and next_up.kept else []
    holes = found.duty.holes(this_week(found, SystemClock().now()))
    told += [holes_text(name, found.duty, holes)] if holes else []
    kept = text.kept_json(next_up.kept if next_up else {})
    values = {"bends": days, "kept": kept, "short": short, "guessed": guessed, "duty_holes": list(holes)}
    emit({**text.checked_json(name, found, proved), **values}, "\n".join(told))


@click.command()
def schema() -> None:
    """Print the JSON Schema of territory.yml, by which an editor completes and checks it."""
    emit(lambda: {"json_schema": json_schema()}, schema_text().rstrip("\n"))


@click.command()
@FILE
def show(file: Path) -> None:
    """Show nodes with their zones, services, and the acts that each person may sign."""
    found = load(file)
    emit(to_json(found), text.territory_text(found))


@click.command()
@FILE
@click.option(
    "--from",
    "old",
    metavar="OLD",
    type=click.Path(path_type=Path),
    help="Keep copies where they are. OLD is the bundle in force, which also lists what was removed and is still "
    "held, or the JSON of an earlier plan, the earlier territory.yml, or its folder.",
)
@click.option("--why", is_flag=True, help="Show the reason for every node, including refused ones.")
def plan(file: Path, old: Path | None, why: bool) -> None:
    """Show where each service's copies go and why, what would move, what each service survives, and the voters."""
    found = load(file)
    bundle = read_before(old) if old and is_bundle(old) else None
    before = bundle.placements if bundle else _read_plan(old) if old else None
    with with_lines_of(file):
        next_up = follow(bundle, found, now=SystemClock().now()) if bundle else Next(found, place(found, before))
    found, placements = next_up.territory, next_up.placements
    moves = None if before is None else changes(found, before, placements)
    told = [] if moves is None else [text.moves_text(moves)]
    told += [text.former_text(next_up.former)] if next_up.former != NOBODY else []
    told.append(text.plan_text(found, placements, every_reason=why, kept=next_up.kept))
    told += [text.held_back_text(found, next_up.held_back)] if next_up.held_back else []
    told.append(text.survival_text(found, outcomes(found, placements)))
    voting = voters(found)
    told.append(text.voters_text(voting, every_reason=why))

    def values() -> dict[str, Any]:
        shown = text.plan_json(found, placements, prove(found, placements), moves or (), voting)
        return {**shown, "former": plain(next_up.former)}

    emit(values, "\n\n".join(told))


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
