"""A thorough look at a node, and all that is judged of it: for what the agent writes down, for status and doctor."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.agent.machine import apart, how_kept
from appliance.agent.memory import Memory
from appliance.agent.observe import Observer
from appliance.monitor.measures import measure
from appliance.monitor.metrics import Sample
from appliance.monitor.status import Status, judge
from appliance.monitor.view import AgentSeen, Now, View
from appliance.node.handle import Node


@dataclass(frozen=True)
class Looked:
    view: View
    status: Status


def look(node: Node, now: Now, memory: Memory, agent: AgentSeen, observer: Observer) -> Looked:
    view = observer.look(node, now, memory, thorough=True)
    return Looked(view, judge(view, now, agent, apart(node), how_kept(node.layout)))


def measures(node: Node, now: Now, memory: Memory, observer: Observer) -> tuple[Sample, ...]:
    """What the agent measures, which runs while it does."""
    looked = look(node, now, memory, AgentSeen(runs=True, looked=now.wall), observer)
    return measure(looked.view, looked.status, node.bundle.territory, now)
