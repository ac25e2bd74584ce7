"""The territory at a glance: one row for each town, worst first, and what is behind each row. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from appliance.monitor.states import ORDER, State
from appliance.portal.dashboard import reasons
from appliance.portal.dashboard.names import PLUG_POWER, UPS_POWER
from appliance.portal.dashboard.observations import LastAnswer, Observations, WatchedNode
from appliance.portal.dashboard.readings import Reading, ServiceSeen, read, view_metrics
from appliance.portal.dashboard.reasons import Reason, merged, site_of
from appliance.territory.model import Site, Territory

NEVER_ASKED = WatchedNode(LastAnswer())
WORST_SHOWN: tuple[State, ...] = ("failed", "warning", "unknown", "ok")
"""Each column shows one of a town's services: one that was measured and is bad before one that is not known."""


@dataclass(frozen=True)
class Row:
    """A town: its worst service in each column, and its machines. `alerts` None while Prometheus does not answer."""

    site: Site
    nodes: tuple[str, ...]
    services: tuple[ServiceSeen, ...]
    reasons: tuple[Reason, ...]
    power: Reading
    heat: Reading
    alerts: int | None

    @property
    def state(self) -> State:
        return self.reasons[0].state if self.reasons else "ok"

    def worst(self, column: str) -> tuple[ServiceSeen, Reading] | None:
        """The service with the worst reading of that name; None where the town has no service.

        How much is new is a number to look at, without a state: a service that does not tell hides no other's.
        """
        pairs: list[tuple[ServiceSeen, Reading]] = [(it, getattr(it, column)) for it in self.services]
        if column == "burst":
            pairs = [pair for pair in pairs if pair[1].value is not None] or pairs
        return min(pairs, key=lambda pair: _rank(pair[1])) if pairs else None


@dataclass(frozen=True)
class Overview:
    """`elsewhere`: what is wrong and belongs to no town."""

    rows: tuple[Row, ...]
    services: tuple[ServiceSeen, ...]
    elsewhere: tuple[Reason, ...] = ()

    def row(self, site: str) -> Row | None:
        return next((it for it in self.rows if it.site.name == site), None)

    @property
    def unwell(self) -> tuple[Row, ...]:
        return tuple(it for it in self.rows if it.reasons)


def judge(territory: Territory, observed: Observations, now: float) -> Overview:
    """How every town is, the worst first."""
    look, fresh = view_metrics(territory, observed, now), observed.is_fresh(now)
    services = {name: read(look, it) for name, it in territory.services.items()}
    alerts = [reasons.of_alert(it) for it in observed.prometheus.alerts if it.labels.get("severity") != "digest"]
    told = [
        *(it for seen in services.values() for it in reasons.of_service(seen)),
        *(it for name in territory.nodes for it in _of_node(observed, name, now)),
        *alerts,
    ]
    placed: dict[str, list[Reason]] = {}
    for it in told:
        placed.setdefault(site_of(territory, it.subject, it.nodes), []).append(it)
    sites = (site for site in territory.sites.values() if _nodes(territory, site))
    counted = Counter(site_of(territory, it.subject, it.nodes) for it in alerts)

    def open_at(site: Site) -> int | None:
        return counted[site.name] if fresh and observed.prometheus.answers else None

    rows = [
        _row(territory, observed, it, services.values(), merged(placed.get(it.name, ())), open_at(it), fresh=fresh)
        for it in sites
    ]
    worst = sorted(services.values(), key=lambda it: (ORDER.index(it.state), -it.safe.strain, it.service.name))
    return Overview(tuple(sorted(rows, key=_badness)), tuple(worst), merged(placed.get("", ())))


def _of_node(observed: Observations, name: str, now: float) -> Iterable[Reason]:
    """A node that nobody asked yet is not silent: nothing is known of it."""
    asked = name in observed.nodes
    return reasons.of_node(name, _watched(observed, name), now, fresh=asked and observed.is_fresh(now))


def _badness(row: Row) -> tuple[int, int, float, str]:
    """First the state, then how much is as bad as that, then how far the oldest copy is beyond its promise."""
    same = sum(it.state == row.state for it in row.reasons)
    age = max((it.safe.strain for it in row.services), default=0.0)
    return ORDER.index(row.state), -same, -age, row.site.title


def _rank(reading: Reading) -> tuple[int, float]:
    return WORST_SHOWN.index(reading.state), -reading.strain


def _row(
    territory: Territory,
    observed: Observations,
    site: Site,
    services: Iterable[ServiceSeen],
    found: tuple[Reason, ...],
    alerts: int | None,
    *,
    fresh: bool,
) -> Row:
    nodes = _nodes(territory, site)
    machines = [(name, _watched(observed, name)) for name in nodes] if fresh else []
    return Row(
        site,
        nodes,
        tuple(it for it in services if territory.nodes[it.service.node].site == site.name),
        found,
        _power(machines),
        _heat(machines),
        alerts,
    )


def _power(machines: Iterable[tuple[str, WatchedNode]]) -> Reading:
    """The power of all machines of a town together; at least that, where one does not count it."""
    machines = tuple(machines)
    known = [watts for _, it in machines if (watts := watts_of(it)) is not None]
    if not known:
        return Reading()
    reading = Reading("ok", sum(known), at_least=len(known) < len(machines))
    cut = next((name for name, it in machines if it.machine and reasons.on_battery(it.machine)), "")
    return replace(reading, state="failed", alert="SurBatterie", where=cut) if cut else reading


def _heat(machines: Iterable[tuple[str, WatchedNode]]) -> Reading:
    """The warmest place of the warmest machine."""
    known = [(celsius, name) for name, it in machines if (celsius := _celsius(it)) is not None]
    if not known:
        return Reading()
    celsius, name = max(known)
    if celsius > reasons.HOT_CELSIUS:
        return Reading("warning", celsius, alert="Surchauffe", where=name)
    return Reading("ok", celsius)


def _celsius(watched: WatchedNode) -> float | None:
    return reasons.celsius(watched.machine) if watched.machine and watched.machine.answers else None


def watts_of(watched: WatchedNode) -> float | None:
    """The power of a machine: all that hangs on its plug, else on its UPS, else its processors; None where none
    says."""
    if watched.machine is None or not watched.machine.answers:
        return None
    for name in (PLUG_POWER, UPS_POWER):
        if told := [it.value for it in watched.machine.all(name)]:
            return sum(told)
    return watched.watts


def _nodes(territory: Territory, site: Site) -> tuple[str, ...]:
    return tuple(name for name, it in territory.nodes.items() if it.site == site.name)


def _watched(observed: Observations, name: str) -> WatchedNode:
    return observed.nodes.get(name, NEVER_ASKED)
