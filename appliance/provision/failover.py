"""What serves on a node and follows the voters, from the bundle alone: programs of failover, and what moves. Pure.

A site that moves is served by an nginx of its own, at the service's own address while that is here; a copy of it by
another one, at the node's address and a port of its own. A database that moves has a cluster of its own, whose settings
are here. Nothing here says where a service is: that follows the voters.
"""

from __future__ import annotations

import json

from appliance.programs import privileged
from appliance.provision import shares, voter
from appliance.provision.files import HEADING, OwnedFolder, Part, WantedFile
from appliance.provision.vault import AGENT
from appliance.territory.model import Service, Territory
from appliance.territory.service_forms import (
    DATABASE,
    SHARE,
    SITE,
    copy_port,
    database_socket,
    folder_of,
    form_of,
    lan_port,
    local_port,
    moving,
    moving_to,
)
from appliance.trust.bundle import Bundle

BROKER = "appliance-broker.service"
UNITS = ("appliance-hands.socket", "appliance-failover-watchdog.service", "appliance-failover.service")
FOLDER = "/etc/appliance/served.d"
COPY_FOLDER, COPY_GENERATION = "/srv/copy", "/srv/generation"
"""As the unit of a copy sees them, which sees nothing else below /srv."""


def part(bundle: Bundle, name: str) -> Part:
    """What follows the voters at the node `name`; nothing runs in a territory whose voters decide nothing."""
    services = moving_to(bundle.territory, name)
    files = tuple(file for service in services for file in _files(bundle, name, service))
    forms = {form_of(service) for service in services}
    return Part(
        "failover",
        files=(WantedFile(privileged.SERVED, _served(bundle, name)), *files),
        folders=(
            OwnedFolder(FOLDER),
            *(shares.FOLDERS if SHARE in forms else ()),
        ),
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


def _files(bundle: Bundle, name: str, service: Service) -> tuple[WantedFile, ...]:
    if form_of(service) is DATABASE:
        return _of_a_database(bundle.territory.timezone, service)
    if form_of(service) is SHARE:
        return shares.of_a_share(bundle.territory, name, service, FOLDER)
    return _of_a_site(bundle, name, service)


def _of_a_database(timezone: str, service: Service) -> tuple[WantedFile, ...]:
    """Who comes by its address comes through its door, which runs as nobody, so that no role comes in without a
    password there."""
    name, data = service.name, f"{folder_of(service)}/data"
    hba = f"{FOLDER}/{name}.pg_hba.conf"
    settings = {
        "data_directory": data,
        "hba_file": hba,
        "ident_file": f"{data}/pg_ident.conf",
        "listen_addresses": "",
        "unix_socket_directories": database_socket(name),
        "port": f"{DATABASE.port}",
        "dynamic_shared_memory_type": "sysv",  # which goes with the unit
        "huge_pages": "off",
        "jit": "off",  # memory that is written and then run is not for this unit
        "max_wal_size": "256MB",  # so much at most is done again after a loss of power, while clients wait
        "log_line_prefix": "",  # the journal tells when and who
        "lc_messages": "C.UTF-8",
        "timezone": timezone,
        "log_timezone": timezone,
        "datestyle": "iso, dmy",
        "default_text_search_config": "pg_catalog.french",
    }
    lines = [HEADING, *(f"{setting} = '{value}'" for setting, value in settings.items())]
    own = [f"local all {role} peer" for role in ("postgres", AGENT)]
    env = f"FOLDER={folder_of(service)}\nADDRESS={service.address}\nPORT={DATABASE.port}\nDATABASE={service.database}\n"
    return (
        WantedFile(f"{FOLDER}/{name}.postgresql.conf", "\n".join([*lines, ""])),
        WantedFile(hba, "\n".join([HEADING, *own, "local all all scram-sha-256", ""])),
        WantedFile(f"{FOLDER}/{name}.env", env),  # read by units
    )


def _of_a_site(bundle: Bundle, name: str, service: Service) -> tuple[WantedFile, ...]:
    folder, copies_at = service.paths[0], bundle.territory.node(name).mesh
    site = _nginx(f"appliance-site-{service.name}", f"{service.address}:{SITE.port}", folder)
    copy = _nginx(
        f"appliance-site-copy-{service.name}",
        f"{copies_at}:{copy_port(service)}",
        COPY_FOLDER,
        f"location = /.generation {{ alias {COPY_GENERATION}; default_type text/plain; }}",
    )
    return (
        WantedFile(f"{FOLDER}/{service.name}.conf", site),
        WantedFile(f"{FOLDER}/{service.name}.copy.conf", copy),
        # Read by units: where the program listens, and what is made read-only.
        WantedFile(
            f"{FOLDER}/{service.name}.env",
            f"FOLDER={folder}\nADDRESS={service.address}\nPORT={SITE.port}\n"
            f"COPY_ADDRESS={copies_at}\nCOPY_PORT={copy_port(service)}\n",
        ),
    )


def _nginx(run: str, listen: str, folder: str, *more: str) -> str:
    """Links are not followed: whoever may put files into a site may not publish others."""
    temporary = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    return "\n".join(
        [
            HEADING,
            "worker_processes 1;",
            f"pid /run/{run}/pid;",
            "error_log stderr warn;",
            "events {}",
            "http {",
            "    access_log off;",
            "    server_tokens off;",
            "    sendfile on;",
            "    include /etc/nginx/mime.types;",
            "    default_type application/octet-stream;",
            *(f"    {it}_temp_path /run/{run}/{it};" for it in temporary),
            "    server {",
            f"        listen {listen};",
            f"        root {folder};",
            "        charset utf-8;",
            "        disable_symlinks on;",
            "        location / { limit_except GET { deny all; } }",
            *(f"        {line}" for line in more),
            "    }",
            "}",
            "",
        ]
    )
