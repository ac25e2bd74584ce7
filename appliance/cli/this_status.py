"""How this node is, judged as its agent judges it: what `appliance status` and `appliance doctor` show."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from appliance.agent import memory
from appliance.agent.node_report import collect
from appliance.agent.observe import Observer, now_of, see_agent
from appliance.cli.arguments import command
from appliance.cli.this_node import this_node
from appliance.host.layout import NodeLayout
from appliance.monitor.status import Status
from appliance.monitor.view import AgentSeen

SYSTEMD = Path("/run/systemd/system")


def this_status() -> Status:
    """The status of the node that the command is about, seen now."""
    node = this_node()
    agent = _started_by_hand(see_agent(node.layout), node.layout)
    remembered = memory.load(memory.path_of(node.layout), running=agent.runs)
    return collect(node, now_of(node), remembered, agent, Observer()).status


def _started_by_hand(agent: AgentSeen, layout: NodeLayout) -> AgentSeen:
    """`agent` with what to type where no systemd runs it: on a machine without one, or in another state folder."""
    if SYSTEMD.is_dir() and layout.is_this_host:
        return agent
    start = f"`{command('internal', 'agent')}`"
    return replace(agent, start=f"Type {start}.", restart=f"End that process, then type {start}.")
