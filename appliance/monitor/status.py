"""How a node is: what it writes, what it holds for others, and itself. Pure, over one thorough view.

The origin reports failures, its peers report absence: a replica node that has nothing new for one and a half times the
promised RPO says so, whatever the origin claims. A fact that could not be seen is "unknown", never ok.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from appliance.backup.vault.free_space import FREE_BYTES_MIN, FULL_BYTES, NEARLY_FULL_BYTES
from appliance.clock import SKEW_SECONDS_MAX
from appliance.monitor.checks import checks_of
from appliance.monitor.credentials import machine_lacks, machine_reasons, theft_lack
from appliance.monitor.failover import judge_failover, node_lacks, node_reasons
from appliance.monitor.held import judge_catalogue, judge_held
from appliance.monitor.states import ORDER, Judged, Reason, State, worst_first
from appliance.monitor.unended import unended_reasons
from appliance.monitor.view import AgentSeen, Now, View
from appliance.monitor.written import judge_written
from appliance.units import MINUTE, format_bytes, format_duration

AGENT_LOOKS_WITHIN_SECONDS = 15 * MINUTE


@dataclass(frozen=True)
class Status:
    """Everything judged of a node, worst first."""

    node: str
    judged: tuple[Judged, ...]

    @property
    def state(self) -> State:
        return self.judged[0].state


def judge(view: View, now: Now, agent: AgentSeen, extra_reasons: tuple[Reason, ...] = (), kept: str = "") -> Status:
    """The state of a node. `view` must be a thorough one; `agent` as seen from outside, or by itself; `extra_reasons`
    is what else is wrong with the node itself; `kept` says how its disk is kept.
    """
    judged = [
        _node(view, now, agent, extra_reasons, kept),
        *(judge_written(written, view, now) for written in view.written),
        *(judge_held(held, view, now, agent_runs=agent.runs) for held in view.held),
        *(judge_catalogue(readable, view, now) for readable in view.readable),
        *judge_failover(view, now),
        *(_unread(service, sentence) for service, sentence in view.unread.items()),
    ]
    return Status(view.node, tuple(sorted(judged, key=lambda it: ORDER.index(it.state))))


def _unread(service: str, sentence: str) -> Judged:
    remedy = "The other services go on. Restore the damaged file, or resynchronise."
    reason = Reason("unknown", sentence, remedy, "readable")
    return Judged(service, "service", "not known", (reason,), checks=("readable",))


def _node(view: View, now: Now, agent: AgentSeen, extra_reasons: tuple[Reason, ...], kept: str) -> Judged:
    runs = "agent running" if agent.runs else "AGENT NOT RUNNING"
    summary = f"{runs}, bundle {view.serial}, {format_bytes(view.disk_free)} free" + (f", {kept}" if kept else "")
    facts = {
        "agent_running": agent.runs,
        "bundle_serial": view.serial,
        "disk_free_bytes": view.disk_free,
        "disk_kept": kept,
    }
    found = (*_node_reasons(view, now, agent), *machine_reasons(view.machine, now), *node_reasons(view, now))
    reasons = worst_first((*extra_reasons, *found, *unended_reasons(view, now)))
    lacks = (*node_lacks(view), *machine_lacks(view.machine), theft_lack(view.node, kept))
    made = tuple(name for name in checks_of("node") if name not in {it.check for it in lacks})
    return Judged(view.node, "node", summary, reasons, facts, made, lacks)


def _node_reasons(view: View, now: Now, agent: AgentSeen) -> Iterator[Reason]:
    if not agent.runs:
        yield Reason("failed", "its agent does not run: nothing is backed up.", agent.start, "agent")
    elif now.wall - agent.looked > AGENT_LOOKS_WITHIN_SECONDS:
        ago = format_duration(now.wall - agent.looked)
        yield Reason("failed", f"its agent has done nothing for {ago}.", agent.restart, "agent")
    elif now.wall - agent.measured > AGENT_LOOKS_WITHIN_SECONDS:
        ago = format_duration(now.wall - agent.measured)
        what = f"its agent has not written its metrics for {ago}: no other node sees its state."
        yield Reason("failed", what, agent.restart, "agent")
    if view.disk_free < FULL_BYTES:
        remedy = "Free space, or add a disk. The agent continues by itself."
        yield Reason("failed", "the disk is full: nothing is saved or recorded.", remedy, "disk")
    elif view.disk_free < FREE_BYTES_MIN:
        least = format_bytes(FREE_BYTES_MIN)
        yield Reason("failed", f"the disk has less than {least} free.", "Free space, or add a disk.", "disk")
    elif view.disk_free < NEARLY_FULL_BYTES:
        yield Reason("warning", "the disk is nearly full.", "Free space, or add a disk.", "disk")
    if now.wall < view.issued - SKEW_SECONDS_MAX:
        behind = format_duration(view.issued - now.wall)
        yield Reason("unknown", f"the clock is at least {behind} behind.", "Set it: `timedatectl`.", "clock")
