"""Which shares a person sees, and how a path reads to that person. Pure.

A node lets its own people see its own shares, each share its groups; who looks after the node itself sees all that the
node may open.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from appliance.portal.base.person import Person
from appliance.restore.scope import Scope
from appliance.territory.implicit import openable
from appliance.territory.model import Service, Territory


@dataclass(frozen=True)
class Share:
    """`folders` as archives name them. `town` is the name of the site it belongs to."""

    service: str
    title: str
    town: str
    folders: tuple[str, ...]

    def parts(self, path: str) -> tuple[tuple[str, str], ...]:
        """(path, name) of each folder down to `path`, the share itself first; its own name for its only folder."""
        root = next((it for it in self.folders if path == it or path.startswith(f"{it}/")), "")
        below = path[len(root) :].strip("/")
        names = below.split("/") if below else []
        steps = ["/".join((root, *names[: number + 1])) for number in range(len(names))]
        return ((root, self._name_of(root)), *zip(steps, names, strict=True))

    def shown(self, path: str) -> str:
        """`path` without where shares lie on the machine."""
        return " › ".join(name for _, name in self.parts(path))

    def _name_of(self, root: str) -> str:
        return self.title if len(self.folders) == 1 else f"{self.title}, {root.rpartition('/')[2]}"


def shares_of(territory: Territory, node: str, person: Person) -> tuple[Share, ...]:
    """The shares that `person` sees at `node`, by name."""
    found = (territory.services[name] for name in openable(territory, node))
    return tuple(_share(territory, service) for service in found if _sees(node, person, service))


def scope_of(shares: Iterable[Share]) -> Scope:
    return Scope({share.service: share.folders for share in shares})


def _sees(node: str, person: Person, service: Service) -> bool:
    if person.maintains(node) or person.maintains(service.node):
        return True
    groups = person.groups.get(service.node)
    return groups is not None and (not service.share_groups or not set(service.share_groups).isdisjoint(groups))


def _share(territory: Territory, service: Service) -> Share:
    town = territory.sites[territory.nodes[service.node].site].title
    folders = tuple(path.strip("/") for path in service.paths)
    return Share(service.name, service.title or service.share or service.name, town, folders)
