"""Which services this node may serve, and how each stands, as the program that runs them told it (`program.py`).

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
from appliance.monitor.failover_view import FailoverView, ServiceView
from appliance.monitor.view import Now
from appliance.node.failover_status import ServiceStatus, load_of_boot
from appliance.node.handle import Node
from appliance.territory.model import Service
from appliance.trust.act import Act
from appliance.trust.in_force import in_force


def failover_lock(layout: NodeLayout) -> Path:
    """Held by the program that runs services, and touched while it lives."""
    return layout.failover / "agent.lock"


def see_failover(node: Node, now: Now, acts: Iterable[Act]) -> FailoverView:
    """Return the failover view of this node; `acts` are those that were accepted here."""
    services = node.bundle.territory.services
    seen, boot = see_program(node), node.clock.boot_id()
    told = {name: load_of_boot(node.layout.failover, name, boot) for name in seen.programs}
    quarantined = {it.subject: it.operator for it in in_force(acts, now.wall) if it.act == "quarantine"}
    if any(it.quarantined for it in told.values() if it):
        quarantined.setdefault(node.name, "")
    stood = (_service_view(node, plan, told.get(name), now) for name, plan in services.items())
    shown = tuple(it for it in stood if it.state or it.branches or it.service in seen.programs)
    return replace(seen, services=shown, quarantined=tuple(quarantined.items()))


def see_program(node: Node) -> FailoverView:
    """Return the view of the program that runs services here, without any service."""
    programs, unread = programs_of(node)
    seen = FailoverView(programs, _last_alive(node.layout), unread=unread)
    return seen if node.layout.is_this_host else replace(seen, start="Type: appliance internal failover run")


def programs_of(node: Node) -> tuple[tuple[str, ...], str]:
    """The services that this node may serve, none in a territory without voters; and why they are unknown, "" when
    known."""
    try:
        return (served(node) if node.bundle.voting.keys else ()), ""
    except (OSError, ValueError, TypeError) as error:
        return (), f"{error}."


def _last_alive(layout: NodeLayout) -> float | None:
    try:
        return failover_lock(layout).stat().st_mtime
    except OSError:
        return None


def _service_view(node: Node, plan: Service, status: ServiceStatus | None, now: Now) -> ServiceView:
    branches = tuple(it.epoch for it in waiting(node.layout, plan.name))
    if status is None:
        return ServiceView(plan.name, plan.node, branches=branches, is_merged=plan.is_merged)
    boottime = node.clock.boottime()

    def wall(moment: float | None) -> float | None:
        return None if moment is None else now.wall - (boottime - moment)

    away = bool(status.holder) and status.holder != plan.node
    return ServiceView(
        plan.name,
        plan.node,
        status.state,
        status.holder,
        status.writer,
        status.epoch,
        status.newest_epoch,
        vacant_since=wall(status.vacant_since),
        away_since=status.owned if away else None,
        unheard_since=wall(status.unheard_since),
        contested_since=wall(status.contested_since),
        paused_since=wall(status.paused_since),
        paused_by=status.paused_by,
        branches=branches,
        unkept_since=wall(status.unkept_since),
        unkept=status.trouble.get(str(Action.KEEP_BRANCH), ""),
        unserved_since=wall(status.unserved_since),
        unserved=status.trouble.get(str(Action.START), ""),
        is_merged=plan.is_merged,
    )
