"""`appliance node leave`: whether this node may leave the territory."""

from __future__ import annotations

from pathlib import Path

import click

from appliance import strict_json
from appliance.backup.peers.elsewhere import known_writer
from appliance.cli.arguments import FILE_TYPE, read_file
from appliance.cli.output import emit, say, table
from appliance.cli.this_node import this_node
from appliance.cli.vault.care import held_services
from appliance.cli.vault.list import holds_json
from appliance.errors import IntegrityError, Refused
from appliance.membership.leave import Holds, missing


@click.command()
@click.option(
    "--others",
    "file",
    required=True,
    metavar="FILE",
    type=FILE_TYPE,
    help="What `appliance --json vault list` printed on each of the others, one line each.",
)
def leave(file: Path) -> int | None:
    """Check whether this node may leave: each service that it holds must be as safe without it. Nothing is changed.

    Exits with 8 while something is missing, and names it.
    """
    node = this_node()
    holdings = _read(file)
    names = held_services(node)
    holdings[node.name] = {name: _holds(holds_json(node, name)) for name in names}
    found = missing(node.bundle, node.name, holdings, {name: known_writer(node, name) for name in names})
    shown = [{"service": it.service, "why": it.why} for it in found]
    emit(
        {"node": node.name, "may_leave": not found, "missing": shown, "asked": sorted(holdings.keys() - {node.name})},
        table(("SERVICE", "WHAT IS MISSING"), [(it.service, it.why) for it in found])
        if found
        else f"{node.name} may leave: every service that it holds is as safe without it.",
    )
    if found:
        say("Next, on the other nodes: appliance vault exchange. Their agents do so every hour.")
        return Refused.exit_code
    say(f"Next: remove {node.name} from territory.yml, sign it, and give the bundle to the other nodes.")
    return None


def _read(file: Path) -> dict[str, dict[str, Holds]]:
    """By node and service, what the lines of `file` say."""
    holdings: dict[str, dict[str, Holds]] = {}
    try:
        for line in filter(str.strip, read_file(file).decode().splitlines()):
            shown = strict_json.loads(line)
            holdings[str(shown["node"])] = {str(it["service"]): _holds(it) for it in shown["services"]}
    except (ValueError, KeyError, TypeError) as error:
        remedy = "It must have a line of `appliance --json vault list` for each node."
        raise IntegrityError("this is not the output of `vault list`.", where=str(file), remedy=remedy) from error
    return holdings


def _holds(shown: dict[str, list[str]]) -> Holds:
    return Holds(frozenset(shown["held"]), frozenset(shown["let_go"]))
