"""`appliance territory status`: how every node is, asked at once from the control machine; nothing is changed."""

from __future__ import annotations

import time
from pathlib import Path

import click

from appliance.cli.arguments import FILE_TYPE, identity_option
from appliance.cli.language.spoken import spoken
from appliance.cli.output import emit
from appliance.cli.status.text import EXIT_CODES
from appliance.cli.territory.status_text import Row, status_json, status_text, worst_first
from appliance.config.load import load, territory_file
from appliance.config.machines import machines_of
from appliance.errors import ApplianceError, UsageError
from appliance.host.network import known_hosts
from appliance.host.network.fleet import Bounds, ask_all
from appliance.monitor.answered import BYTES_MAX, read_status
from appliance.monitor.status import Status
from appliance.units import parse_duration

ASK = "appliance --json status"
CONNECT_SECONDS_MAX = 2.0
"""A lost first packet is sent again after one second."""


@click.command()
@click.argument("file", metavar="[FILE|DIR]", default=".", type=FILE_TYPE)
@identity_option
@click.option("--all", "everything", is_flag=True, help="Show every reason of each node, not only the three worst.")
@click.option(
    "--node-deadline", metavar="DURATION", default="10s", show_default=True, help="Wait for a node for so long."
)
@click.option("--deadline", metavar="DURATION", default="30s", show_default=True, help="Wait for all of them so long.")
def status(file: Path, identity: Path | None, everything: bool, node_deadline: str, deadline: str) -> int:
    """Ask every node how it is, all at once, and show them on one page, the worst first.

    Each node judges itself, as `appliance status` there does. A node that does not answer, or refuses, is unknown, with
    the reason and a remedy; the others are shown all the same. Only a machine whose host key was recorded by `node
    trust-host-key` is asked. Exits as status does: with 0 when all are well, 1 when something needs attention, 4 when
    something failed or is unknown.
    """
    bounds = _bounds(_seconds("--node-deadline", node_deadline), _seconds("--deadline", deadline))
    territory, begun = load(file), time.monotonic()
    met = known_hosts.read(territory_file(file).with_name(known_hosts.FILE_NAME))
    machines = machines_of(territory, territory.nodes.values(), met)
    answers = ask_all(machines, ASK, identity=identity, bounds=bounds, exit_codes=set(EXIT_CODES.values()))
    rows = worst_first(
        Row(it, territory.sites[it.site].title, _read(answers[it.name], it.name)) for it in territory.nodes.values()
    )
    seconds = time.monotonic() - begun
    text = spoken(lambda voice: status_text(rows, seconds, every_reason=everything, voice=voice))
    emit(status_json(territory.name, rows, seconds), text)
    return EXIT_CODES[rows[0].state]


def _read(answer: bytes | ApplianceError, node: str) -> Status | ApplianceError:
    if isinstance(answer, ApplianceError):
        return answer
    try:
        return read_status(answer, node)
    except ApplianceError as error:
        return error


def _bounds(machine_seconds: float, all_seconds: float) -> Bounds:
    return Bounds(min(CONNECT_SECONDS_MAX, machine_seconds), machine_seconds, all_seconds, BYTES_MAX)


def _seconds(option: str, text: str) -> float:
    seconds = parse_duration(text)
    if not seconds:
        raise UsageError(f"{option} 0 would wait for nobody.", remedy="Write a number and s or m, for example 10s.")
    return seconds
