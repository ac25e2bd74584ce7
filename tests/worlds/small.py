"""Small territories for tests: nodes by their zones, one site each unless told otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from appliance.territory.model import Event, ExternalPeer, Link, Node, OfflineDisk, Service, Site, Territory, Zone
from appliance.units import GIB

LINK = Link("fibre", "Fibre", up_bits_per_second=200_000_000, down_bits_per_second=500_000_000)


def node(name: str, *zones: str, site: str = "", offered: int = 1000, roles: tuple[str, ...] = ()) -> Node:
    """A node in `zones` that offers `offered` GiB."""
    return Node(
        name,
        site or f"site-{name}",
        "127.0.0.1",
        22,
        disk_bytes=2 * offered * GIB,
        offered_bytes=offered * GIB,
        uplink="fibre",
        roles=roles,
        zones=zones,
    )


def service(
    name: str,
    at: str,
    *,
    quota: int = 100,
    copies: int = 2,
    standbys: tuple[str, ...] = (),
    external: tuple[str, ...] = (),
    offline: tuple[str, ...] = (),
    key_access: str = "hot",
) -> Service:
    """A service at `at` whose holders each need `quota` GiB."""
    return Service(
        name,
        at,
        "files",
        paths=("/srv",),
        copies=copies,
        standbys=standbys,
        external=external,
        offline=offline,
        key_access=key_access,
        size_bytes=quota * GIB // 2,
        quota_bytes=quota * GIB,
    )


def territory(
    nodes: Iterable[Node],
    services: Iterable[Service] = (),
    *,
    tolerated: tuple[str, ...] = (),
    site_zones: Mapping[str, tuple[str, ...]] | None = None,
    warnings: Mapping[str, int] | None = None,
    external_peers: Mapping[str, ExternalPeer] | None = None,
    disks: Mapping[str, OfflineDisk] | None = None,
    events: Mapping[str, Event] | None = None,
) -> Territory:
    """A territory of `nodes` and `services`; zones and sites are made from what the nodes name."""
    nodes = tuple(nodes)
    of_sites = site_zones or {}
    zones = {zone for it in nodes for zone in it.zones} | {zone for named in of_sites.values() for zone in named}
    return Territory(
        "test",
        "Essai",
        zones={
            name: Zone(name, "power", name, (warnings or {}).get(name, 0), tolerated=name in tolerated)
            for name in sorted(zones)
        },
        links={"fibre": LINK},
        sites={it.site: Site(it.site, it.site, zones=of_sites.get(it.site, ())) for it in nodes},
        nodes={it.name: it for it in nodes},
        services={it.name: it for it in services},
        external=external_peers or {},
        offline=disks or {},
        events=events or {},
    )
