"""Services that move between hosts: those with an address of their own in the mesh, and where they may be served. Pure.

Such an address goes where the service is served. So far they are folders that are published as a site.
"""

from __future__ import annotations

from ipaddress import IPv4Address

from appliance.territory.model import Service, Territory

SITE_PORT = 80
_COPY_PORTS_FROM = 8400


def moving(territory: Territory) -> tuple[Service, ...]:
    """The services that have an address, by name."""
    return tuple(it for _, it in sorted(territory.services.items()) if it.address)


def moving_to(territory: Territory, node: str) -> tuple[Service, ...]:
    """Those that may be served at `node`: its own, and those that it stands by for."""
    return tuple(it for it in moving(territory) if node in territory.trusted(it.name))


def copy_port(service: Service) -> int:
    """The TCP port at which a node shows its copy, beside its own address in the mesh; of each service another one."""
    return _COPY_PORTS_FROM + IPv4Address(service.address).packed[-1]
