"""The routes of service addresses, as this node has them: to the node that the newest signed grant names, and to no
other.

So the mesh itself drops what an earlier writer still sends under such an address: WireGuard takes it from one peer
only.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

from appliance.errors import ApplianceError
from appliance.failover.context import NodeContext
from appliance.failover.forms.privileged_client import ask_helper
from appliance.node.movable_services import MovableService
from appliance.trust.grant import Grant

TRY_AGAIN_SECONDS = 2.0


def routes_to_set(
    moving: Mapping[str, MovableService], grants: Mapping[str, Grant], led: Mapping[str, str]
) -> dict[str, str]:
    """Return the services whose address must be routed to another node, with its writer. `led`: the node of each route
    now."""
    writers = {name: grants[name].writer for name in moving if name in grants}
    return {name: to for name, to in writers.items() if to in moving[name].nodes and led.get(name) != to}


async def follow_writers(node: NodeContext, moving: Mapping[str, MovableService], shown: asyncio.Event) -> None:
    """Have addresses follow their services until cancelled; `shown` is set when there may be newer grants. A route that
    could not be set is tried again."""
    led: dict[str, str] = {}
    while True:
        shown.clear()
        wanted = routes_to_set(moving, node.documents.grants, led)
        for service, writer in wanted.items():
            if writer == node.name and not node.network.has_address(service):
                led.pop(service, None)  # where it led before, PCs are led no more once it starts here
                continue  # nobody here needs it before, and a node that takes over has work that others wait for
            with contextlib.suppress(ApplianceError):
                await ask_helper("route", service, node=writer)
                led[service] = writer
        behind = any(led.get(service) != writer for service, writer in wanted.items())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TRY_AGAIN_SECONDS if behind else None):
                await shown.wait()
