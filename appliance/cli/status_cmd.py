"""`appliance status`: how this node is, the worst first, with what to type about it."""

from __future__ import annotations

import click

from appliance.agent import memory
from appliance.agent.observe import Observer, now_of, see_agent
from appliance.cli.output import emit
from appliance.cli.status_text import status_json, status_text
from appliance.cli.this_node import this_node
from appliance.errors import OK, WARNINGS, ApplianceError
from appliance.monitor.states import State
from appliance.monitor.status import judge

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
    agent = see_agent(node.layout)
    view = Observer().look(node, now, memory.load(memory.path_of(node.layout), running=agent.runs), thorough=True)
    found = judge(view, now, agent)
    emit(status_json(found), status_text(found))
    return EXIT_CODES[found.state]
