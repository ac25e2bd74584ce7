"""Which services this node may serve, and how each stands, as the program that runs them told it (`failover.py`).

It loads nothing of that program: every look at a node asks this.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from appliance.backup.peers.elsewhere import served
from appliance.branches.store import waiting
from appliance.failover.fsm.model import Action
from appliance.host.layout import NodeLayout
from appliance.monitor.stood import Failover, Stood
from appliance.monitor.view import Now
from appliance.node.failover_status import Told, load_of_boot
from appliance.node.handle import Node
from appliance.territory.model import Service
from appliance.trust.act import Act
from appliance.trust.in_force import in_force


def failover_lock(layout: NodeLayout) -> Path:
    """Held by the program that runs services, and touched while it lives."""
    return layout.failover / "agent.lock"


def see_failover(node: Node, now: Now, acts: Iterable[Act]) -> Failover:
    """What is told here; `acts` are those that were accepted at this node."""
    services = node.bundle.territory.services
    seen, boot = see_program(node), node.clock.boot_id()
    told = {name: load_of_boot(node.layout.failover, name, boot) for name in seen.programs}
    quarantined = {it.subject: it.operator for it in in_force(acts, now.wall) if it.act == "quarantine"}
    if any(it.quarantined for it in told.values() if it):
        quarantined.setdefault(node.name, "")
    stood = (_stood(node, plan, told.get(name), now) for name, plan in services.items())
    shown = tuple(it for it in stood if it.state or it.branches or it.service in seen.programs)
    return replace(seen, services=shown, quarantined=tuple(quarantined.items()))


def see_program(node: Node) -> Failover:
    """What can be told of the program that runs services here, without what it told of any."""
    programs, unread = programs_of(node)
    seen = Failover(programs, _looked(node.layout), unread=unread)
    return seen if node.layout.is_this_host else replace(seen, start="Type: appliance internal failover run")


def programs_of(node: Node) -> tuple[tuple[str, ...], str]:
    """What it may serve, nothing in a territory without voters; and why that cannot be told, "" when it can."""
    try:
        return (served(node) if node.bundle.voting.keys else ()), ""
    except (OSError, ValueError, TypeError) as error:
        return (), f"{error}."


def _looked(layout: NodeLayout) -> float | None:
    try:
        return failover_lock(layout).stat().st_mtime
    except OSError:
        return None


def _stood(node: Node, plan: Service, told: Told | None, now: Now) -> Stood:
    branches = tuple(it.epoch for it in waiting(node.layout, plan.name))
    if told is None:
        return Stood(plan.name, plan.node, branches=branches, is_merged=plan.kind == "files")
    boottime = node.clock.boottime()

    def wall(moment: float | None) -> float | None:
        return None if moment is None else now.wall - (boottime - moment)

    away = bool(told.holder) and told.holder != plan.node
    return Stood(
        plan.name,
        plan.node,
        told.state,
        told.holder,
        told.writer,
        told.epoch,
        told.newest_epoch,
        vacant_since=wall(told.vacant_since),
        away_since=told.owned if away else None,
        unheard_since=wall(told.unheard_since),
        contested_since=wall(told.contested_since),
        paused_since=wall(told.paused_since),
        paused_by=told.paused_by,
        branches=branches,
        unkept_since=wall(told.unkept_since),
        unkept=told.trouble.get(str(Action.KEEP_BRANCH), ""),
        unserved_since=wall(told.unserved_since),
        unserved=told.trouble.get(str(Action.START), ""),
        is_merged=plan.kind == "files",
    )
