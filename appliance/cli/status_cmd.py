"""`appliance status`: how this node is, the worst first, with what to type about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click

from appliance.agent import memory
from appliance.agent.observe import Observer, now_of, see_agent
from appliance.backup.node import Node
from appliance.cli.arguments import command
from appliance.cli.output import emit
from appliance.cli.status_text import status_json, status_text
from appliance.cli.this_node import this_node
from appliance.errors import OK, WARNINGS, ApplianceError
from appliance.host.layout import NodeLayout, state_of_this_host
from appliance.monitor.states import Reason, State
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
def status() -> int:
    """Say how safe each service of this node is, how fresh what it holds for others, and how it does itself.

    The worst comes first. Ends with 0 when all is well, 1 when something must be looked at, 4 when something failed or
    cannot be told. Nobody else is asked: this is what the node itself knows.
    """
    node = this_node()
    now = now_of(node)
    agent = _started_by_hand(see_agent(node.layout), node.layout)
    view = Observer().look(node, now, memory.load(memory.path_of(node.layout), running=agent.runs), thorough=True)
    found = judge(view, now, agent, tuple(_keys(node)))
    emit(status_json(found), status_text(found))
    return EXIT_CODES[found.state]


def _started_by_hand(agent: AgentSeen, layout: NodeLayout) -> AgentSeen:
    """`agent` with what to type where no systemd runs it: on a machine without one, or in another state folder."""
    if SYSTEMD.is_dir() and layout.root == state_of_this_host():
        return agent
    start = f"`{command('agent')}`"
    return replace(agent, start=f"Type {start}.", restart=f"End that process, then type {start}.")


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
