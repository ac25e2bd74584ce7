"""The port by which failover uses a service that moves. Each form is a module of its own; `known_forms.py` lists them.

The program that renews leases, workers that people wait for, and provisioning all load every form. So the top of such a
module imports cheap modules; one that takes a part of a second to load comes with the call that needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol

from appliance.node.handle import Node
from appliance.node.movable_services import MovableService
from appliance.territory.model import Service, Territory
from appliance.territory.service_forms import ServiceForm

SETTINGS = "/etc/appliance/served.d"
"""Where units find their settings."""
PROBE_SECONDS_MAX = 1.0
HANDOVER_SECONDS = 8
"""For grant, adoption and start at the next writer, as measured on two busy cores."""


class Contents(Protocol):
    """The calls of workers on the files of a service, and on its other parts. Each call can be repeated."""

    staging: str
    """The folder in which files come before their place, so that a rename brings them; "" for the service's own."""
    loads: str
    """The module that a worker loads before its order comes: later, while people wait or nothing may be saved, it would
    take a tenth of a second."""

    def save_first(self, node: Node, service: str, to: str) -> None:
        """Save and bring to the node `to`, "" where any takes over, what goes with the last backup of the service."""
        ...

    def prepare(self, node: Node, service: str) -> None:
        """Have on this node, ahead of a takeover, what the service needs besides its files."""
        ...

    def before_files(self, node: Node, service: str, install: Callable[[], None]) -> None:
        """Do what must be done before files come into place; `install` prepares them and may run beside."""
        ...

    def put_in_place(self, node: Node, service: str, tree: Path) -> list[str]:
        """Put what an archive left in `tree` where the service has it, and keep what was there; what was put."""
        ...

    def replaced(self, node: Node, service: str) -> Iterator[tuple[Path, str]]:
        """The names by which files that moves put aside are kept, and of which path of the service each is."""
        ...

    def show_copy(self, node: Node, service: str) -> dict[str, Any]:
        """Show the newest copy that is held here for reading."""
        ...

    def keep_apart(self, node: Node, service: str, folder: Path) -> None:
        """Fill the new `folder` with what was written here and nobody else has."""
        ...


class Form(Contents, Protocol):
    """The same of one form of services that move between hosts, and how a host serves them."""

    service_form: ServiceForm
    handover_seconds: int | None
    """How long clients wait besides the last backup; None where that grows with the service."""
    closes_while_held: bool
    """Whether its folder is read-only while clients wait, as those who write into it are on this machine."""
    folders: ClassVar[Mapping[str, str]]
    """The folders that it needs on a host, each open to its owner alone; "" for root."""

    def configs(self, territory: Territory, node: str, service: Service) -> Mapping[str, str]:
        """The texts that the programs of `service` read at `node`, by how the name of the file ends."""
        ...

    def environment(self, territory: Territory, node: str, service: Service) -> Mapping[str, object]:
        """The variables that its units read there."""
        ...

    async def probe(self, service: str, plan: MovableService, *, held: bool) -> bool:
        """Whether it answers as its clients would ask, or at its own socket while those are `held`."""
        ...
