"""Shares: an smbd of its own for each, its people's accounts before its files, and those then its people's.

The settings of every share of a host, those that stay too (`roles/share`), are in COMMON. At its origin a share is
reached by all addresses of the node; elsewhere by its own alone, since its smbd listens on loopback there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

from appliance.accounts.groups import EVERYBODY, system_group
from appliance.failover.forms.files import Files
from appliance.failover.forms.form import HANDOVER_SECONDS, SETTINGS
from appliance.host.layout import AGENT
from appliance.node.handle import Node
from appliance.node.movable_services import MovableService
from appliance.programs.install_share import INSTALLING, REPLACED
from appliance.territory.model import CONTROL, SHARES, Service, Territory
from appliance.territory.service_forms import SHARE, lan_port, local_port

COMMON = "/usr/lib/appliance/shares.conf"
_NAME_LENGTH = 15
_NOT_TOLD = re.compile(rf"[%\\]|{CONTROL.pattern}")


class Share(Files):
    service_form = SHARE
    staging = SHARES
    loads = "appliance.failover.forms.share_work"
    handover_seconds: int | None = HANDOVER_SECONDS
    closes_while_held = False
    folders: ClassVar[Mapping[str, str]] = {f"{SHARES}/{INSTALLING}": AGENT, f"{SHARES}/{REPLACED}": ""}
    """Where files are brought before they are the share's, and what lay there before: in the subvolume of shares, so
    that each comes and goes by a rename. No share can have such a name."""

    def configs(self, territory: Territory, node: str, service: Service) -> Mapping[str, str]:
        return {"smb.conf": _samba(territory, node, service)}

    def environment(self, territory: Territory, node: str, service: Service) -> Mapping[str, object]:
        return {
            "FOLDER": service.paths[0],
            "ADDRESS": service.address,
            "PORT": SHARE.port,
            "LOCAL_PORT": local_port(service, node),
            "CONFIG": f"{SETTINGS}/{service.name}.smb.conf",
            "HOME_NODE": service.node,
            "PEOPLE": system_group(EVERYBODY, service.node),
        }

    async def probe(self, service: str, plan: MovableService, *, held: bool) -> bool:
        """On loopback until its address is here."""
        from appliance.failover.forms import probes

        at = (plan.address, plan.port) if probes.is_here(plan.address) else ("127.0.0.1", plan.local_port)
        return await probes.answers_smb(*at)

    def save_first(self, node: Node, service: str, to: str) -> None:
        from appliance.failover.forms import share_work

        share_work.save_people(node, service, to)

    def prepare(self, node: Node, service: str) -> None:
        from appliance.failover.forms import share_work

        share_work.install_people(node, service)

    def before_files(self, node: Node, service: str, install: Callable[[], None]) -> None:
        """Where nobody can be let in, nothing is put in place for hours."""
        from appliance.failover.forms import share_work

        with ThreadPoolExecutor(1) as beside:  # each starts some borgs, and people wait
            entered = beside.submit(share_work.bring_people, node, service)
            if not share_work.people_lie_ready(node, service):
                entered.result()
            install()
            entered.result()

    def _put(self, node: Node, service: str, source: Path, target: Path) -> None:
        from appliance.failover.forms import share_work

        share_work.put_in_place(service, source)

    def replaced(self, node: Node, service: str) -> Iterator[tuple[Path, str]]:
        for path in node.bundle.terms(service).service.paths:
            yield Path(SHARES, REPLACED, service), path

    def show_copy(self, node: Node, service: str) -> dict[str, Any]:
        """The pages show what is held here; the people of its home log in at this node as long as they do."""
        from appliance.failover.forms import share_work

        return {"of": share_work.bring_people(node, service)}


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
        # Programs of a PC take for saved what it keeps to itself; it is in no snapshot, and unknown to the next smbd.
        "    oplocks = no",
        "    smb2 leases = no",
        "    durable handles = no",
        "",
        f"[{service.share}]",
        f"    comment = {told(service.title or service.share)}",
        f"    path = {service.paths[0]}",
        f"    valid users = {', '.join(groups)}",
    )
    return "\n".join((*lines, ""))
