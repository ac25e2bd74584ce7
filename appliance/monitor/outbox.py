"""Notifications that wait to be delivered: one file for each and each addressee, until he has it.

Alertmanager forgets what it could not deliver once the alert has ended; a fibre is cut for days. So it delivers to this
queue on its own machine, and the queue tries for ever: in order for each addressee, waiting longer after each failure,
one addressee never waiting for another (`sending/deliveries.py`). A file is durable before Alertmanager has its answer,
and goes when the addressee has answered; after a cut in between it is delivered twice, never lost.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.errors import ApplianceError, IntegrityError, UsageError
from appliance.host.files import fsync_folder, make_private_folder, write_atomic

FIRST_WAIT_SECONDS, WAIT_SECONDS_MAX = 2.0, 300.0
FORMAT = 1
STATE = "state.json"


@dataclass(frozen=True)
class Waiting:
    """One notification for the addressee `to`, taken at `time`, UTC seconds."""

    file: Path
    to: str
    time: float
    notification: Mapping[str, Any]


@dataclass(frozen=True)
class Delay:
    """When an addressee is tried again, by the clock that goes on in suspend, and after how many failures."""

    until: float = 0.0
    failures: int = 0

    def after_failure(self, now: float) -> Delay:
        return Delay(now + wait_after(self.failures + 1), self.failures + 1)


def wait_after(failures: int) -> float:
    """How many seconds an addressee is left in peace after so many failures in a row."""
    return min(WAIT_SECONDS_MAX, FIRST_WAIT_SECONDS * 2 ** min(failures - 1, 16)) if failures > 0 else 0.0


class Outbox:
    """The queue in the folder `root`, one folder for each addressee."""

    def __init__(self, root: Path) -> None:
        self._root = make_private_folder(root)
        self._numbers = itertools.count(1)  # each thread of the server takes another

    def put(self, addressees: Iterable[str], notification: Mapping[str, Any], now: float) -> None:
        """Keep `notification` for each of `addressees`; durable when this returns."""
        content = json.dumps({"format": FORMAT, "time": now, "notification": notification}).encode()
        for to in addressees:
            name = f"{round(now * 1000):015d}-{next(self._numbers):06d}.json"
            write_atomic(make_private_folder(self._root / to) / name, content, mode=0o600)

    def addressees(self) -> tuple[str, ...]:
        """Those with something that waits."""
        return tuple(sorted({it.parent.name for it in self._files()}))

    def oldest(self, to: str) -> Waiting | None:
        """The oldest that waits for `to`, None for nothing; raise IntegrityError for a file that cannot be read."""
        file = min((self._root / to).glob("[0-9]*.json"), default=None)
        return _read(file) if file is not None else None

    def oldest_times(self) -> dict[str, float]:
        """Return by addressee when the oldest that waits was taken, UTC seconds, by the names of files."""
        found: dict[str, float] = {}
        for it in self._files():
            taken = int(it.name.partition("-")[0].partition(".")[0]) / 1000
            found[it.parent.name] = min(taken, found.get(it.parent.name, taken))
        return found

    def read_delay(self, to: str, now: float, wall: float) -> Delay:
        """The delay that `keep_delay` kept; `now` is of a clock that began with the machine, `wall` is UTC."""
        try:
            kept = json.loads((self._root / to / STATE).read_bytes())
            failures, time = int(kept["failures"]), float(kept["time"])
        except (OSError, ValueError, KeyError, TypeError):
            return Delay()
        wait = wait_after(failures)
        return Delay(now + min(wait, max(0.0, wait - (wall - time))), failures)

    def keep_delay(self, to: str, delay: Delay, wall: float) -> None:
        """Keep how often `to` failed; where the disk fails, a restart begins with none."""
        file = self._root / to / STATE
        with contextlib.suppress(OSError):
            if delay.failures:
                write_atomic(file, json.dumps({"failures": delay.failures, "time": wall}).encode(), mode=0o600)
            else:
                file.unlink(missing_ok=True)

    def count(self) -> int:
        return sum(1 for _ in self._files())

    def count_aside(self) -> int:
        return sum(1 for _ in self._root.glob("*/bad-*.json"))

    def _files(self) -> Iterator[Path]:
        return self._root.glob("*/[0-9]*.json")

    def done(self, waiting: Waiting) -> None:
        waiting.file.unlink()
        fsync_folder(waiting.file.parent)

    def set_aside(self, file: Path) -> None:
        """A file that cannot be read or written as a letter blocks nobody, and stays to be looked at."""
        os.rename(file, file.with_name(f"bad-{file.name}"))


def _read(file: Path) -> Waiting:
    try:
        content = json.loads(file.read_bytes())
        if content["format"] != FORMAT:
            raise ValueError(content["format"])
        return Waiting(file, file.parent.name, float(content["time"]), dict(content["notification"]))
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError("this is not one of our notifications.", where=str(file)) from error


def deliver_one(
    outbox: Outbox,
    to: str,
    delay: Delay,
    boottime: Callable[[], float],
    send: Callable[[str, Mapping[str, Any]], None],
    say: Callable[[str], None],
    sent: set[Path],
) -> Delay:
    """Deliver the oldest that waits for `to`; the delay afterwards. `sent` has what was delivered and is still there,
    since the disk failed: it is not sent again."""
    try:
        it = outbox.oldest(to)
    except IntegrityError as error:
        say(str(error))
        outbox.set_aside(Path(error.where))
        return delay
    if it is None:
        return Delay()
    try:
        if it.file not in sent:
            send(to, it.notification)
    except IntegrityError as error:
        say(f"{to}: set aside: {error}")
        outbox.set_aside(it.file)
        return delay
    except (OSError, ApplianceError) as error:
        say(f"{to}: not delivered, try {delay.failures + 1}: {error}")
        return delay.after_failure(boottime())
    try:
        outbox.done(it)
    except OSError as error:
        sent.add(it.file)
        say(f"{to}: delivered, and still in the queue: {error}")
        return delay.after_failure(boottime())
    sent.discard(it.file)
    return Delay()


def addressees_of(settings: Mapping[str, Any], receiver: str) -> tuple[str, ...]:
    """The addresses of the receiver of that name; raise UsageError for one that the settings do not have."""
    receivers: Mapping[str, list[str]] = settings["receivers"]
    if receiver not in receivers:
        raise UsageError(f'there is no receiver "{receiver}"; known: {", ".join(sorted(receivers))}.')
    return tuple(receivers[receiver])
