"""The agent as a service: one per state folder, ready when it says so, gone within seconds of being told to stop."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from appliance.agent.intervals import Intervals
from appliance.agent.loop import SIGNALS, Loop
from appliance.agent.observe import agent_lock
from appliance.errors import Busy
from appliance.host.files import locked
from appliance.host.notify import READY, STOPPING, notify
from appliance.host.wake import Waiter
from appliance.monitor.view import Running
from appliance.node.handle import Node, open_node

GRACE_SECONDS = 5.0
"""How long work may go on after SIGTERM. A backup may have hours to go: what takes longer is cut, and cuts heal."""
LOCK_TRIES = 5
LOCK_TRY_SECONDS = 0.1


def serve(state: Path, intervals: Intervals, say: Callable[[str], None]) -> None:
    """Run the agent of the node whose state folder is `state` until SIGTERM or SIGINT; a second one ends it at once.

    Raise Busy when one runs already, NotFound when this is no node or has no bundle yet.
    """
    node = open_node(state)
    with _only_one(node), Waiter(SIGNALS) as waiter:
        loop = Loop(node, waiter, intervals)
        node.journal.note("agent-started", pid=os.getpid(), bundle=node.bundle.serial)
        say(f"The agent of {node.name} is running, process {os.getpid()}.")
        notify(READY)
        loop.run()
        notify(STOPPING)
        say(f"The agent of {node.name} is stopping; running work has {GRACE_SECONDS:.0f} s to end.")
        abandoned = loop.finish(GRACE_SECONDS)
        node.journal.note("agent-stopped", abandoned=[f"{it.kind} {it.service}" for it in abandoned])
        say(_last_words(node, abandoned))


def _last_words(node: Node, abandoned: tuple[Running, ...]) -> str:
    if not abandoned:
        return f"The agent of {node.name} has stopped; no work was interrupted."
    cut = ", ".join(f"{it.kind} {it.service}" for it in abandoned)
    return f"The agent of {node.name} has stopped and interrupted: {cut}. The next start continues from what was kept."


@contextlib.contextmanager
def _only_one(node: Node) -> Iterator[None]:
    """Hold the agent's lock. `appliance status` tries it for an instant, so a lock that is held is tried again."""
    with contextlib.ExitStack() as stack:
        for left in reversed(range(LOCK_TRIES)):
            try:
                stack.enter_context(locked(agent_lock(node.layout), what="the agent"))
                break
            except Busy as error:
                if not left:
                    raise _runs_already(node) from error
                time.sleep(LOCK_TRY_SECONDS)
        yield


def _runs_already(node: Node) -> Busy:
    return Busy(
        f"an agent of {node.name} is already running.",
        where=str(node.layout.root),
        remedy="One is enough; `appliance status` shows its state.",
    )
