"""Shares that move between nodes, from the bundle alone: an smbd of its own for each, and whose its files are. Pure.

What every share of a host has, those that stay too (`roles/share`), stands in COMMON. At its home a share is reached by
all addresses of the node; elsewhere by its own alone, since its smbd listens on loopback there.
"""

from __future__ import annotations

import re

from appliance.accounts.groups import EVERYBODY, system_group
from appliance.programs.install_share import INSTALLING, REPLACED
from appliance.provision.files import HEADING, OwnedFolder, WantedFile
from appliance.provision.vault import AGENT
from appliance.territory.model import CONTROL, SHARES, Service, Territory
from appliance.territory.service_forms import SHARE, lan_port, local_port

COMMON = "/usr/lib/appliance/shares.conf"
FOLDERS = (
    OwnedFolder(f"{SHARES}/{INSTALLING}", "", 0o700, AGENT, AGENT),
    OwnedFolder(f"{SHARES}/{REPLACED}", "", 0o700),
)
"""Where files are brought before they are the share's, and what lay there before: in the subvolume of shares, so that
each comes and goes by a rename. No share can have such a name."""
_NAME_LENGTH = 15
_NOT_TOLD = re.compile(rf"[%\\]|{CONTROL.pattern}")


def of_a_share(territory: Territory, name: str, service: Service, folder: str) -> tuple[WantedFile, ...]:
    """What the units of `service` read at the node `name`; `folder` is where their settings lie."""
    config = f"{folder}/{service.name}.smb.conf"
    settings = {
        "FOLDER": service.paths[0],
        "ADDRESS": service.address,
        "PORT": SHARE.port,
        "LOCAL_PORT": local_port(service, name),
        "CONFIG": config,
        "HOME_NODE": service.node,
        "PEOPLE": system_group(EVERYBODY, service.node),
    }
    return (
        WantedFile(config, _samba(territory, name, service)),
        WantedFile(f"{folder}/{service.name}.env", "".join(f"{key}={value}\n" for key, value in settings.items())),
    )


def told(title: str) -> str:
    """`title` as the value of a setting of Samba, which replaces what begins with % and takes the next line into a line
    that ends with a backslash."""
    return _NOT_TOLD.sub("", title)


def _samba(territory: Territory, name: str, service: Service) -> str:
    home, run = territory.node(service.node), f"/run/{SHARE.unit}-{service.name}"
    local = () if lan_port(service, name) else ("interfaces = 127.0.0.1/8", "bind interfaces only = yes")
    kept = (f"{it} directory = {run}/{it}" for it in ("private", "lock", "state", "cache"))
    groups = (f"+{system_group(group, service.node)}" for group in service.share_groups or (EVERYBODY,))
    lines = (
        "[global]",
        f"    server string = {told(territory.sites[home.site].title)}",
        f"    netbios name = {service.node[:_NAME_LENGTH].upper()}",
        f"    include = {COMMON}",
        f"    force group = {system_group(EVERYBODY, service.node)}",
        f"    smb ports = {local_port(service, name)}",
        *(f"    {it}" for it in local),
        f"    pid directory = {run}",
        f"    ncalrpc dir = {run}/ncalrpc",
        *(f"    {it}" for it in kept),
        # What a PC keeps to itself its programs take for saved; it is in no snapshot, and unknown to the next smbd.
        "    oplocks = no",
        "    smb2 leases = no",
        "    durable handles = no",
        "",
        f"[{service.share}]",
        f"    comment = {told(service.title or service.share)}",
        f"    path = {service.paths[0]}",
        f"    valid users = {', '.join(groups)}",
    )
    return "\n".join((HEADING, *lines, ""))
