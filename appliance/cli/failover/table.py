"""`appliance failover table`: the rows by which failover decides, as they are in the code."""

from __future__ import annotations

import click

from appliance.cli.output import emit
from appliance.failover.fsm.model import DOES, State
from appliance.failover.fsm.row import Row
from appliance.failover.fsm.table import TABLE, rows_of


@click.command("table")
@click.argument(
    "states", metavar="[STATE...]", nargs=-1, type=click.Choice([state.value for state in State], case_sensitive=False)
)
def table_(states: tuple[str, ...]) -> None:
    """Print the table of transitions, for all states or for each STATE: condition, action, next state and reason.

    In each state the first row whose condition holds is taken. Names of rows are stable.
    """
    shown = [State(state) for state in states] or list(State)
    rows = [row for row in TABLE if set(row.states) & set(shown)]
    emit(
        {"states": {state: DOES[state] for state in shown}, "rows": [_as_json(row) for row in rows]},
        "\n\n".join(_text(state) for state in shown),
    )


def _as_json(row: Row) -> dict[str, object]:
    return {
        "id": row.id,
        "states": list(row.states),
        "when": row.when,
        "actions": list(row.actions),
        "next": row.next,
        "why": row.why,
    }


def _text(state: State) -> str:
    return "\n".join((f"{state}: {DOES[state]}", *(_row(row) for row in rows_of(state))))


def _row(row: Row) -> str:
    done = f"\n      do    {', '.join(row.actions)}" if row.actions else ""
    return f"  {row.id}\n      when  {row.when}{done}\n      then  {row.next or 'stay'}: {row.why}"
