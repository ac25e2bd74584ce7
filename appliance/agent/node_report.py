"""A thorough look at a node, and all that is judged of it: for what the agent writes down, for status and doctor."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.agent.machine import extra_reasons, how_kept
from appliance.agent.memory import Memory
from appliance.agent.observe import Observer
from appliance.monitor.measures import measure
from appliance.monitor.metrics import Sample
from appliance.monitor.status import Status, judge
from appliance.monitor.view import AgentSeen, Now, View
from appliance.node.handle import Node


@dataclass(frozen=True)
class NodeReport:
    view: View
    status: Status


def collect(node: Node, now: Now, memory: Memory, agent: AgentSeen, observer: Observer) -> NodeReport:
    view = observer.look(node, now, memory, thorough=True)
    return NodeReport(view, judge(view, now, agent, extra_reasons(node), how_kept(node.layout)))


def measures(node: Node, now: Now, memory: Memory, observer: Observer) -> tuple[Sample, ...]:
    """Return the measurements of the agent; it runs while it measures."""
    report = collect(node, now, memory, AgentSeen(runs=True, looked=now.wall), observer)
    return measure(report.view, report.status, node.bundle.territory, now)
