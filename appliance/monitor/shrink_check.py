"""The report of a replica node on a service that has lost most of what it was: it took the generation, as it must.
Pure."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.backup.chain.shrink_check import lost_most_of_its_size
from appliance.monitor.states import Reason
from appliance.monitor.view import Generation, Held, Now
from appliance.units import DAY, format_bytes

LOOKED_BACK_SECONDS = 30 * DAY
"""As long as a generation is locked: a service made smaller on purpose is told of for so long, not for ever."""


def shrink_reasons(held: Held, now: Now) -> Iterator[Reason]:
    """A warning when the newest generation has lost most of one that is not older than a month."""
    newest = next((it for it in held.sizes if held.newest and it.name == held.newest.name), None)
    recent = (it for it in held.sizes if now.wall - it.time <= LOOKED_BACK_SECONDS)
    before = lost_most_of_its_size(newest, recent) if newest else None
    if newest and before:
        number = Generation(before.name, before.time)
        yield Reason(
            "warning",
            f"generation {held.newest} has {format_bytes(newest.bytes)}, {number} had {format_bytes(before.bytes)}: "
            "most of it is missing.",
            "Ask at its origin whether that was intended. If not, continue there from an older one: `appliance "
            f"backup resync {held.service} --request FILE --generation {number}`.",
            "held-size",
        )
