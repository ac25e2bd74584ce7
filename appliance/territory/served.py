"""Services that move between hosts: those with an address of their own in the mesh, and where they may be served. Pure.

Such an address goes where the service is served. What serves it there follows from its form.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from appliance.territory.model import DATABASES, Service, Territory

_COPY_PORTS_FROM = 8400


@dataclass(frozen=True)
class Form:
    """How services of a kind are served: at the TCP port `port` of their address, by the units `unit`@SERVICE and, for
    the copy that a standby shows, `copy`@SERVICE; "" when it shows none."""

    name: str
    port: int
    unit: str
    copy: str = ""


SITE = Form("site", 80, "appliance-site", "appliance-site-copy")
DATABASE = Form("database", 5432, "appliance-database")


def form_of(service: Service) -> Form:
    """What a service with an address is to who comes to it."""
    return DATABASE if service.kind == "postgresql" else SITE


def folder_of(service: Service) -> str:
    """What is read-only where it is not served."""
    return f"{database_folder(service.name)}/cluster" if form_of(service) is DATABASE else service.paths[0]


def database_folder(name: str) -> str:
    """The folder of a database that moves: its cluster, and beside it what is kept of it or still made."""
    return f"{DATABASES}/{name}"


def database_socket(name: str) -> str:
    """The folder of the Unix socket at which it answers on the node that serves it, and nowhere else."""
    return f"/run/appliance-database-{name}"


def moving(territory: Territory) -> tuple[Service, ...]:
    """The services that have an address, by name."""
    return tuple(it for _, it in sorted(territory.services.items()) if it.address)


def moving_to(territory: Territory, node: str) -> tuple[Service, ...]:
    """Those that may be served at `node`: its own, and those that it stands by for."""
    return tuple(it for it in moving(territory) if node in territory.trusted(it.name))


def copy_port(service: Service) -> int:
    """The TCP port at which a node shows its copy, beside its own address in the mesh; of each service another one."""
    return _COPY_PORTS_FROM + IPv4Address(service.address).packed[-1]
