"""Deliver what waits in the queue, at once for several addressees and one after the other for each.

A server that hangs, or a name that is looked up for minutes, costs a thread and delays its own addressee alone. There
are at most `AT_ONCE_MAX` threads; each delivers one notification, and the addressee who had none for the longest time
is next. Never are two for the same addressee, so that order stays and nothing is sent twice by this. How often an
addressee refused is kept on the disk: a restart does not try a server again at once that refuses for hours.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from appliance.monitor.outbox import Delay, Outbox, deliver_one

AT_ONCE_MAX = 16


class Deliveries:
    """`boottime` is the clock that goes on in suspend, `wall` is UTC; `changed` is called when a turn ends."""

    def __init__(
        self,
        outbox: Outbox,
        send: Callable[[str, Mapping[str, Any]], None],
        say: Callable[[str], None],
        boottime: Callable[[], float],
        wall: Callable[[], float],
        changed: Callable[[], None],
    ) -> None:
        self._outbox, self._send, self._say = outbox, send, say
        self._boottime, self._wall, self._changed = boottime, wall, changed
        self._workers: dict[str, threading.Thread] = {}
        self._delays: dict[str, Delay] = {}
        self._ended: dict[str, float] = {}
        self._sent: set[Path] = set()
        """Delivered files that the disk does not let go."""
        self._broke: list[BaseException] = []

    def begin_due(self) -> None:
        """Begin a turn of each addressee that is due, as far as threads are left. Raise what ended a turn that nothing
        should end: a queue that never delivers is worse than none."""
        if self._broke:
            raise self._broke[0]
        now = self._boottime()
        waiting = [it for it in self._outbox.addressees() if it not in self._workers]
        due = [it for it in waiting if now >= self._delay(it, now).until]
        due.sort(key=lambda it: self._ended.get(it, 0.0))
        for to in due[: max(0, AT_ONCE_MAX - len(self._workers))]:
            self._workers[to] = worker = threading.Thread(target=self._turn, args=(to,), daemon=True)
            worker.start()

    def end(self, seconds: float) -> None:
        """Wait so long for each turn that has begun."""
        for worker in tuple(self._workers.values()):
            worker.join(seconds)

    def _delay(self, to: str, now: float) -> Delay:
        if to not in self._delays:
            self._delays[to] = self._outbox.read_delay(to, now, self._wall())
        return self._delays[to]

    def _turn(self, to: str) -> None:
        try:
            before = self._delays[to]
            after = deliver_one(self._outbox, to, before, self._boottime, self._send, self._say, self._sent)
            if after != before:
                self._outbox.keep_delay(to, after, self._wall())
            self._delays[to] = after
        except BaseException as error:
            self._broke.append(error)
        finally:
            self._ended[to] = self._boottime()
            del self._workers[to]
            self._changed()
