"""Services that move between hosts: those with an address of their own in the mesh, and where they may be served. Pure.

Such an address goes where the service is served. The program that serves it there follows from its form. Another form
begins here; docs/how-to/add-a-service-form.md has every step.
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.errors import IntegrityError
from appliance.territory.model import DATABASES, Service, Territory

_COPY_PORTS_FROM = 8400
_LOCAL_PORTS_FROM = 8600


@dataclass(frozen=True)
class ServiceForm:
    """How services of a form are served: at the TCP port `port` of their address, by the units `unit`@SERVICE and, for
    the copy that a standby shows, `copy`@SERVICE; "" when it shows none.

    By the name of the service, `folder` is what is read-only where it is not served, "" when that is its first path,
    and `socket` the folder of the Unix socket at which it answers on the node that serves it, "" without one.
    `at_origin`: whether PCs reach it at its origin by all addresses of that node.
    """

    name: str
    port: int
    unit: str
    copy: str = ""
    folder: str = ""
    socket: str = ""
    at_origin: bool = False


SITE = ServiceForm("site", 80, "appliance-site", "appliance-site-copy")
DATABASE = ServiceForm(
    "database", 5432, "appliance-database", folder=f"{DATABASES}/{{}}/cluster", socket="/run/appliance-database-{}"
)
SHARE = ServiceForm("share", 445, "appliance-share", at_origin=True)
ALL = (SITE, DATABASE, SHARE)
"""The code that serves, saves and moves each is in `failover/forms/known_forms.py`."""


def form_of(service: Service) -> ServiceForm:
    """The form of a service with an address, as clients see it; raise IntegrityError for a kind that none serves."""
    match service.kind:
        case "files":
            return SHARE if service.share else SITE
        case "postgresql":
            return DATABASE
    raise IntegrityError(
        f"no form serves {service.name}, whose kind is {service.kind}: it cannot move between hosts.",
        remedy="Remove its address in territory.yml, or install a version that serves that kind.",
    )


def folder_of(service: Service) -> str:
    """The folder that is read-only where it is not served."""
    return form_of(service).folder.format(service.name) or service.paths[0]


def database_folder(name: str) -> str:
    """The folder of a database that moves: its cluster, and beside it what is kept of it or still made."""
    return f"{DATABASES}/{name}"


def database_socket(name: str) -> str:
    """The folder of the Unix socket at which it answers on the node that serves it, and nowhere else."""
    return DATABASE.socket.format(name)


def moving(territory: Territory) -> tuple[Service, ...]:
    """The services that have an address, by name."""
    return tuple(it for _, it in sorted(territory.services.items()) if it.address)


def moving_to(territory: Territory, node: str) -> tuple[Service, ...]:
    """Those that may be served at `node`: its own, and those that it stands by for."""
    return tuple(it for it in moving(territory) if node in territory.trusted(it.name))


def copy_port(service: Service) -> int:
    """The TCP port at which a node shows its copy, beside its own address in the mesh; of each service another one."""
    return _COPY_PORTS_FROM + _last_number(service)


def lan_port(service: Service, node: str) -> int:
    """The TCP port at which PCs of the network around `node` reach a service there; 0 where they do not. A share is
    reached at its home, by all of that node's addresses."""
    form = form_of(service)
    return form.port if form.at_origin and node == service.node else 0


def local_port(service: Service, node: str) -> int:
    """The TCP port on loopback at which what serves at `node` answers before the service's address is there; 0 for
    what does not. Away from its home a share has one of its own: several may be at one standby."""
    if not form_of(service).at_origin:
        return 0
    return lan_port(service, node) or _LOCAL_PORTS_FROM + _last_number(service)


def _last_number(service: Service) -> int:
    return int(service.address.rpartition(".")[2])
