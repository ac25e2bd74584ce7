"""A territory as the hosts, groups and variables that playbooks know; and where in its file each node stands.

Groups: `nodes` (all of them), one per role, `site_NAME` and `zone_NAME` with hyphens as underscores, which is what
Ansible takes in the name of a group.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

from appliance.config.explain import Problems, path_text
from appliance.config.load import parse, read_raw, read_root, territory_file
from appliance.config.parts import Parts, read_parts
from appliance.config.placement_errors import with_lines_of
from appliance.config.tree import Mapping as Tree
from appliance.config.tree import place_of
from appliance.errors import UsageError
from appliance.host.network import known_hosts
from appliance.monitor.duty.plan import plan_json
from appliance.territory.implicit import openable
from appliance.territory.model import NODE_ROLES, Node, Territory
from appliance.territory.placement import Infeasible, place
from appliance.territory.service_forms import form_of, moving

ALL = "nodes"
GROUPS = ("all", "ungrouped", ALL, *NODE_ROLES)
CONTROL_PATHS = "~/.ansible/cp"


@dataclass(frozen=True)
class Host:
    """A node as a playbook sees it; `variables` are plain values, as in JSON."""

    name: str
    groups: tuple[str, ...]
    variables: Mapping[str, object]


@dataclass(frozen=True)
class Hosts:
    """All nodes in the order of the file; `variables` hold for every one of them, and on the control machine."""

    hosts: tuple[Host, ...]
    variables: Mapping[str, object]

    @property
    def groups(self) -> tuple[str, ...]:
        """Every group that the territory could fill, roles that nobody has included: playbooks name them."""
        used = (group for host in self.hosts for group in host.groups)
        return tuple(dict.fromkeys((ALL, *NODE_ROLES, *used)))


def read_hosts(place: Path, *, name: str | None = None) -> Hosts:
    """The hosts of the territory in the file `place`, or in that of the folder; `name` is what messages call the file.

    Raise InvalidFile, or UsageError for a service that finds no place for its copies, with file, line and remedy: a
    caller that reads a territory here is about to change machines.
    """
    file = territory_file(place)
    shown = name or str(file)
    raw = read_raw(file)
    territory = parse(raw, name=shown)
    root = read_root(raw, Problems(shown))
    parts = read_parts(root, Problems(shown))
    _check_placement(territory, file, shown)
    lines = {node.name: place_of(root, (*node.path, "offered")).line for node in parts.nodes}
    _check_names(territory, parts, root, shown)
    return hosts_of(territory, {node: f"{shown}:{line}" for node, line in lines.items()}, folder=file.parent.absolute())


def hosts_of(territory: Territory, places: Mapping[str, str], *, folder: Path) -> Hosts:
    """The hosts of `territory`, whose folder is `folder`; `places` has for each node the file and line of its offer."""
    hosts = tuple(
        Host(node.name, _groups(territory, node), _variables(territory, node, places[node.name], folder))
        for node in territory.nodes.values()
    )
    return Hosts(hosts, _everywhere(territory, folder))


def group_name(kind: str, name: str) -> str:
    """`zone_oise_valley`: Ansible takes no hyphens in the name of a group."""
    return f"{kind}_{name}".replace("-", "_")


def _groups(territory: Territory, node: Node) -> tuple[str, ...]:
    zones = (group_name("zone", zone) for zone in sorted(territory.zones_of(node.name)))
    return (ALL, *node.roles, group_name("site", node.site), *zones)


def _variables(territory: Territory, node: Node, place: str, folder: Path) -> Mapping[str, object]:
    return {
        "ansible_host": node.address,
        "ansible_port": node.port,
        "ansible_ssh_common_args": _ssh_words(node.name, folder),
        "appliance_node": node.name,
        "appliance_site": node.site,
        "appliance_site_title": territory.sites[node.site].title,
        "appliance_lan": list(territory.sites[node.site].lan),
        "appliance_roles": list(node.roles),
        "appliance_zones": sorted(territory.zones_of(node.name)),
        "appliance_mesh": node.mesh,
        "appliance_mesh_port": node.mesh_port,
        "appliance_disk_bytes": node.disk_bytes,
        "appliance_offered_bytes": node.offered_bytes,
        "appliance_offered_at": place,
        "appliance_openable": list(openable(territory, node.name)),
        "appliance_moving": [
            {"name": it.name, "address": it.address, "port": form_of(it).port}
            for it in moving(territory)
            if it.node == node.name
        ],
        "appliance_services": [_plain(asdict(service)) for service in territory.services_of(node.name)],
    }


def _everywhere(territory: Territory, folder: Path) -> Mapping[str, object]:
    head = {"name": territory.name, "title": territory.title, "timezone": territory.timezone}
    return {
        "ansible_user": "root",
        "ansible_python_interpreter": "/usr/bin/python3",
        # Two labs may have the same addresses: a connection kept open must not be taken for one to the other.
        "ansible_control_path_dir": f"{CONTROL_PATHS}-{sha256(str(folder).encode()).hexdigest()[:8]}",
        "appliance_territory": head,
        "appliance_inventory": str(folder),
        "appliance_root_keys": [f"{key} {it.name}" for it in territory.people.values() for key in it.root_keys],
        **({"appliance_duty": plan} if (plan := plan_json(territory)) else {}),
    }


def _ssh_words(node: str, folder: Path) -> str:
    """Only the host key that was compared at first contact is taken, under the node's name at whatever address."""
    settings = (
        f'UserKnownHostsFile="{folder / known_hosts.FILE_NAME}"',
        "GlobalKnownHostsFile=none",
        "StrictHostKeyChecking=yes",
        f"HostKeyAlias={node}",
    )
    return shlex.join(word for setting in settings for word in ("-o", setting))


def _plain(value: object) -> object:
    """Tuples as lists: the variables are printed as JSON and as YAML."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def _check_placement(territory: Territory, file: Path, name: str) -> None:
    try:
        with with_lines_of(file, name=name):
            place(territory)
    except Infeasible as error:
        raise UsageError(error.what, where=error.where) from error


def _check_names(territory: Territory, parts: Parts, root: Tree, name: str) -> None:
    for node in parts.nodes:
        if node.name in GROUPS:
            path = (*node.path, "name")
            where = f"{name}:{place_of(root, path).line}  {path_text(path)}"
            raise UsageError(
                f'playbooks already use "{node.name}" for a group of nodes.', where=where, remedy="Choose another."
            )
