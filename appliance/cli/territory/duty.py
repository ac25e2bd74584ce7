"""`appliance territory duty`: who answers alerts this week and in the next ones; and the weeks without a person."""

from __future__ import annotations

from pathlib import Path

import click

from appliance.cli.output import emit, table
from appliance.cli.territory.look import FILE
from appliance.cli.territory.roster_text import days, holes_text, this_week, titles
from appliance.clock import SystemClock
from appliance.config.load import load, territory_file
from appliance.territory.duty import AHEAD_WEEKS, after, weeks_from

NO_ROSTER = "There is no roster: every alert goes to everybody in monitoring_addressees. Add `duty` to territory.yml."


@click.command()
@FILE
@click.option(
    "--weeks", type=click.IntRange(1, 104), default=AHEAD_WEEKS, show_default=True, help="How many weeks to show."
)
def duty(file: Path, weeks: int) -> None:
    """Show who answers alerts this week and in the next ones."""
    found = load(file)
    week = this_week(found, SystemClock().now())
    shown = tuple(weeks_from(week, after(week, weeks - 1))) if found.duty.persons else ()
    rows = [(it, days(it), titles(found, found.duty.on_duty(it))) for it in shown]
    told = [table(("WEEK", "DAYS", "ON DUTY"), rows)] if rows else [NO_ROSTER]
    gaps = found.duty.holes(week, weeks)
    told += [holes_text(str(territory_file(file)), found.duty, gaps)] if gaps else []
    values = [{"week": it, "persons": list(found.duty.on_duty(it))} for it in shown]
    emit({"weeks": values, "holes": list(gaps)}, "\n".join(told))
