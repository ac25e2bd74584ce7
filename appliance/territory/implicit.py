"""The service that each node has without being asked: its own accounts, journals and settings. Pure.

The node decides which of its files it saves (`backup/writer/own.py`); here is only that it exists, where its copies may
go and how small it is. It is placed, signed, granted and backed up like any other service.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from appliance.territory.model import Schedule, Service, Territory
from appliance.territory.placement import possible_copies
from appliance.units import GIB, MIB

PREFIX = "appliance-"
COPIES = 2
SIZE_BYTES = 64 * MIB
CHANGE_BYTES_PER_DAY = MIB // 2
QUOTA_BYTES = GIB
"""More than both retentions keep of that change, such that it fits into 70 % (`backup/chain/growth.py`)."""
AT = "04:10"
"""Local time: after the night's backups, so that the journal that is saved tells of them."""


def with_implicit(territory: Territory) -> Territory:
    """`territory` with the own service of each node whose copies find a place; unchanged when it wants none."""
    if not territory.own_backup:
        return territory
    own = (_own_service(territory, node) for node in territory.nodes)
    return replace(territory, services={**territory.services, **{service.name: service for service in own if service}})


def implicit_name(node: str) -> str:
    """The name of the own service of `node`; `territory.yml` may not use such a name."""
    return f"{PREFIX}{node}"


def openable(territory: Territory, node: str) -> tuple[str, ...]:
    """The services with files that `node` may show people, but for what nodes save of themselves, by name."""
    return tuple(sorted(name for name in territory.services if _shows(territory, node, name)))


def homes(territory: Territory, node: str) -> tuple[str, ...]:
    """The nodes for which `node` stands by: it opens what they save of themselves, the accounts of their people too."""
    own = ((it, territory.services.get(implicit_name(it))) for it in territory.nodes)
    return tuple(home for home, it in own if it and node in it.standbys and it.key_access == "hot")


def is_implicit(service: Service) -> bool:
    """Whether `service` is its node's own."""
    return service.name == implicit_name(service.node)


def _own_service(territory: Territory, node: str) -> Service | None:
    """None where no copy could be held anywhere."""
    named = [service for service in territory.services.values() if not is_implicit(service)]
    here = [service for service in named if service.node == node]
    service = Service(
        implicit_name(node),
        node,
        "files",
        title=f"Réglages et journaux : {node}",
        copies=COPIES,
        standbys=_standbys(here),
        # Copies outside are the whole territory's: a node without services has its settings too.
        external=_usual(service.external for service in named),
        offline=_usual(service.offline for service in named),
        size_bytes=SIZE_BYTES,
        change_bytes_per_day=CHANGE_BYTES_PER_DAY,
        quota_bytes=QUOTA_BYTES,
        schedule=Schedule(daily_at=AT),
    )
    possible = possible_copies(territory, service)
    return replace(service, copies=min(COPIES, possible)) if possible else None


def _standbys(here: list[Service]) -> tuple[str, ...]:
    """Those of the share that moves from there, where one does: its people log in where it is served, by accounts that
    are saved here. Otherwise the usual ones."""
    share = next((it for it in here if it.share and it.address), None)
    return tuple(sorted(share.standbys)) if share else _usual(service.standbys for service in here)


def _usual(choices: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the names in more than half of `choices`; any two of those are together in one, so they do not
    conflict."""
    every = list(choices)
    counts = Counter(name for choice in every for name in choice)
    return tuple(sorted(name for name, count in counts.items() if 2 * count > len(every)))


def _shows(territory: Territory, node: str, name: str) -> bool:
    service = territory.services[name]
    return service.kind == "files" and not is_implicit(service) and node in territory.trusted(name)
