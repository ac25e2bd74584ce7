"""Whether the alerts of this node reach those who are to be told, where it sends any: asked of its queue."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from appliance.errors import ApplianceError
from appliance.monitor.states import Reason
from appliance.units import MINUTE, format_duration

SENDS = Path("/etc/systemd/system/multi-user.target.wants/appliance-outbox.service")
"""There where this host is to send alerts."""
WAITS_SECONDS_MAX = 15 * MINUTE
"""As long as the alert NotificationsEnAttente waits, too: a server that starts again is nobody's work."""
SILENT = Reason(
    "failed",
    "the queue of its alerts does not answer: no alert leaves this node.",
    "Type `systemctl restart appliance-outbox` as root; `journalctl --unit appliance-outbox` has the cause.",
    "letters",
)


def _ask_queue() -> Mapping[str, Any]:
    from appliance.monitor.duty import queue_client  # other nodes' agents keep no client of HTTP in memory

    return queue_client.ask(f"{queue_client.QUEUE}/waiting")


def letter_reasons(now: float, ask: Callable[[], Mapping[str, Any]] = _ask_queue) -> Iterator[Reason]:
    """Return a reason for each addressee who took nothing for long, and one for a queue that does not answer."""
    if not SENDS.is_symlink():
        return
    try:
        waiting = ask()["waiting"]
    except ApplianceError:
        yield SILENT
        return
    for to, since in sorted(waiting.items()):
        if now - since > WAITS_SECONDS_MAX:
            what = f"{to} does not take its alerts: one has waited for {format_duration(now - since)}."
            remedy = f"Type `appliance monitor test-letter --to {to}`: it says what the server answers."
            yield Reason("warning", what, remedy, "letters")
