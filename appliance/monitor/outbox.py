"""Notifications that wait to be delivered: one file for each and each addressee, until he has it.

Alertmanager forgets what it could not deliver once the alert has ended; a fibre is cut for days. So it delivers to this
queue on its own machine, and the queue tries for ever: in order for each addressee, waiting longer after each failure,
one addressee never waiting for another. A file is durable before Alertmanager gets its answer, and goes when the
addressee has answered; after a cut in between it is delivered twice, never lost.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.errors import ApplianceError, IntegrityError, UsageError
from appliance.host.files import fsync_folder, make_private_folder, write_atomic

FIRST_WAIT_SECONDS, WAIT_SECONDS_MAX = 2.0, 300.0
FORMAT = 1


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
        wait = min(WAIT_SECONDS_MAX, FIRST_WAIT_SECONDS * 2 ** min(self.failures, 16))
        return Delay(now + wait, self.failures + 1)


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

    def first_of_each(self) -> tuple[Waiting, ...]:
        """The oldest that waits for each addressee."""
        folders = sorted(path for path in self._root.iterdir() if path.is_dir())
        found = (min(folder.glob("[0-9]*.json"), default=None) for folder in folders)
        return tuple(_read(file) for file in found if file is not None)

    def count(self) -> int:
        return sum(1 for _ in self._root.glob("*/[0-9]*.json"))

    def count_aside(self) -> int:
        return sum(1 for _ in self._root.glob("*/bad-*.json"))

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


def deliver(
    outbox: Outbox,
    delays: Mapping[str, Delay],
    now: float,
    send: Callable[[str, Mapping[str, Any]], None],
    say: Callable[[str], None],
) -> dict[str, Delay]:
    """Try the oldest of each addressee who is not to be waited for; the delays afterwards, with those who failed."""
    left = dict(delays)
    try:
        waiting = outbox.first_of_each()
    except IntegrityError as error:
        say(str(error))
        outbox.set_aside(Path(error.where))
        return left
    for it in waiting:
        delay = left.get(it.to, Delay())
        if now < delay.until:
            continue
        try:
            send(it.to, it.notification)
        except IntegrityError as error:
            say(f"{it.to}: set aside: {error}")
            outbox.set_aside(it.file)
        except (OSError, ApplianceError) as error:
            left[it.to] = delay.after_failure(now)
            say(f"{it.to}: not delivered, try {delay.failures + 1}: {error}")
        else:
            left.pop(it.to, None)
            outbox.done(it)
    return left


def addressees_of(settings: Mapping[str, Any], receiver: str) -> tuple[str, ...]:
    """The addresses of the receiver of that name; raise UsageError for one that the settings do not have."""
    receivers: Mapping[str, list[str]] = settings["receivers"]
    if receiver not in receivers:
        raise UsageError(f'there is no receiver "{receiver}"; known: {", ".join(sorted(receivers))}.')
    return tuple(receivers[receiver])
