"""`appliance status`: how this node is, the worst first, with what to type about it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click

from appliance.agent import memory
from appliance.agent.observe import Observer, now_of, see_agent
from appliance.backup.node import Node
from appliance.cli.arguments import FILE_TYPE, command, read_file
from appliance.cli.output import emit
from appliance.cli.status_text import status_json, status_text, worse_json, worse_line
from appliance.cli.this_node import this_node
from appliance.errors import OK, WARNINGS, ApplianceError, IntegrityError
from appliance.host import care
from appliance.host.layout import NodeLayout, state_of_this_host
from appliance.monitor.compare import Subject, worse
from appliance.monitor.states import ORDER, Reason, State
from appliance.monitor.status import judge
from appliance.monitor.view import AgentSeen
from appliance.trust.keys import PURPOSES

SYSTEMD = Path("/run/systemd/system")
EXIT_CODES: dict[State, int] = {
    "ok": OK,
    "warning": WARNINGS,
    "unknown": ApplianceError.exit_code,
    "failed": ApplianceError.exit_code,
}


@click.command()
@click.option(
    "--not-worse-than",
    "before",
    metavar="FILE",
    type=FILE_TYPE,
    help="What `appliance --json status` said: end with 4 when the agent stands or anything is worse now, else with 0.",
)
def status(before: Path | None) -> int:
    """Say how safe each service of this node is, how fresh what it holds for others, and how it does itself.

    The worst comes first. Ends with 0 when all is well, 1 when something must be looked at, 4 when something failed or
    cannot be told. Nobody else is asked: this is what the node itself knows.
    """
    node = this_node()
    now = now_of(node)
    agent = _started_by_hand(see_agent(node.layout), node.layout)
    view = Observer().look(node, now, memory.load(memory.path_of(node.layout), running=agent.runs), thorough=True)
    here = node.layout.root == state_of_this_host()
    apart = (*_keys(node), *(_disks() if here else ()))
    found = judge(view, now, agent, apart, care.how_kept() if here else "")
    if before is None:
        emit(status_json(found), status_text(found))
        return EXIT_CODES[found.state]
    changed = worse(_earlier(before), found)
    emit(
        {**status_json(found), "worse": [worse_json(it) for it in changed]},
        "\n".join(worse_line(it) for it in changed) or f"{node.name} is not worse than it was.",
    )
    return ApplianceError.exit_code if changed else OK


def _earlier(file: Path) -> dict[Subject, State]:
    """The state of each thing that was judged, in what `appliance --json status` said."""
    try:
        judged = json.loads(read_file(file))["judged"]
        return {(str(it["subject"]), str(it["role"])): ORDER[ORDER.index(it["state"])] for it in judged}
    except (ValueError, KeyError, TypeError) as error:
        remedy = "It is what `appliance --json status` printed."
        raise IntegrityError("this is no status of a node.", where=str(file), remedy=remedy) from error


def _started_by_hand(agent: AgentSeen, layout: NodeLayout) -> AgentSeen:
    """`agent` with what to type where no systemd runs it: on a machine without one, or in another state folder."""
    if SYSTEMD.is_dir() and layout.root == state_of_this_host():
        return agent
    start = f"`{command('agent')}`"
    return replace(agent, start=f"Type {start}.", restart=f"End that process, then type {start}.")


def _disks() -> Iterator[Reason]:
    for alarm in care.alarms():
        yield Reason("warning", f"{alarm.sentence}.", f"When that is mended: rm {alarm.file}")


def _keys(node: Node) -> Iterator[Reason]:
    """Without its keys a node can neither sign nor reach a peer, however well the rest of it is."""
    folder = node.layout.keys
    lacking = []
    for path in (*(folder / f"{purpose}_ed25519" for purpose in PURPOSES), folder / "age"):
        try:
            path.read_bytes()
        except FileNotFoundError:
            lacking.append(path.name)
        except OSError as error:
            who = "Type this as the account of the node."
            yield Reason("failed", f"{path}: {(error.strerror or 'cannot be read').lower()}.", who)
    if lacking:
        remedy = "Bring them back, or make it anew as a replacement: `appliance node init` in an empty folder."
        yield Reason("failed", f"its keys are missing ({', '.join(lacking)}): it can sign and send nothing.", remedy)
