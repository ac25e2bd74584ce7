"""The parts of a node that follow the voters, from the bundle alone: programs of failover, and movable services. Pure.

A site that moves is served by an nginx of its own, at the service's own address while that is here; a copy of it by
another one, at the node's address and a port of its own. A database that moves has a cluster of its own, whose settings
are here. Nothing here says where a service is: that follows the voters.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from appliance.failover.forms.form import SETTINGS
from appliance.failover.forms.known_forms import form_named
from appliance.programs import privileged
from appliance.provision import voter
from appliance.provision.files import HEADING, OwnedFolder, Part, WantedFile
from appliance.territory.model import Service, Territory
from appliance.territory.service_forms import folder_of, form_of, lan_port, local_port, moving, moving_to
from appliance.trust.bundle import Bundle

BROKER = "appliance-broker.service"
UNITS = ("appliance-hands.socket", "appliance-failover-watchdog.service", "appliance-failover.service")


def part(bundle: Bundle, name: str) -> Part:
    """Return the part of the node `name` that follows the voters; none in a territory whose voters decide nothing."""
    services = moving_to(bundle.territory, name)
    files = tuple(file for service in services for file in _files(bundle, name, service))
    forms = dict.fromkeys(form_of(service).name for service in services)
    folders = (OwnedFolder(path, "", 0o700, of, of) for it in forms for path, of in form_named(it).folders.items())
    return Part(
        "failover",
        files=(WantedFile(privileged.SERVED, _served(bundle, name)), *files),
        folders=(OwnedFolder(SETTINGS), *folders),
        units=(*UNITS, *([BROKER] if voter.member_of(bundle, name) else [])) if bundle.voting.can_sign else (),
    )


def _served(bundle: Bundle, name: str) -> str:
    """All services with an address, for root's side: those that are not served here are routed to who serves them."""
    territory = bundle.territory
    services = {it.name: _told(territory, name, it) for it in moving(territory)}
    return json.dumps({"format": 1, "node": name, "services": services}, indent=1) + "\n"


def _told(territory: Territory, name: str, service: Service) -> dict[str, object]:
    form = form_of(service)
    return {
        "form": form.name,
        "address": service.address,
        "port": form.port,
        "folder": folder_of(service),
        "unit": f"{form.unit}@{service.name}.service",
        "copy": f"{form.copy}@{service.name}.service" if form.copy else "",
        "lan_port": lan_port(service, name),
        "local_port": local_port(service, name),
        "here": name in territory.trusted(service.name),
        "nodes": {node: territory.node(node).mesh for node in territory.trusted(service.name)},
    }


def _files(bundle: Bundle, name: str, service: Service) -> Iterator[WantedFile]:
    """Return the files that the programs and the units of `service` read at the node `name`."""
    form = form_named(form_of(service).name)
    for ending, text in form.configs(bundle.territory, name, service).items():
        yield WantedFile(f"{SETTINGS}/{service.name}.{ending}", f"{HEADING}\n{text}")
    variables = form.environment(bundle.territory, name, service)
    yield WantedFile(f"{SETTINGS}/{service.name}.env", "".join(f"{key}={value}\n" for key, value in variables.items()))
