"""Set the counter of a service to where its next run begins, after the holders answered and before borg writes.

Invariant: the counter goes up only, and is durable before what this machine is gets noted: a cut between the two is
one more sign, never one less.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Collection

from appliance.borg.lanes import lane_of, start_of
from appliance.borg.model import Repository
from appliance.borg.nonce import next_nonce, write_nonce
from appliance.clock import Clock
from appliance.host.files import write_atomic
from appliance.host.layout import ServiceLayout

CLOCKS_APART_SECONDS_MAX = 60
"""How far the wall clock may move against the time since the start before that counts as a sign of a thaw."""


def set_counter(
    layout: ServiceLayout, clock: Clock, epoch: int, witnesses: Collection[str], answered: Collection[str]
) -> None:
    """Before a run under the grant of `epoch`: `witnesses` could have taken something newer, and these `answered`.

    A counter that is missing or of another grant stays: `check_nonce` refuses it.
    """
    repository = Repository(layout.repository, layout.borg_base)
    value = next_nonce(repository)
    if value is None:
        return
    lane = lane_of([name in answered for name in sorted(witnesses)])
    signed = not _is_the_same(layout, clock)
    start = start_of(value, epoch, lane, signed=signed, draw=_draw)
    if start > value:
        write_nonce(repository.path, start)
    if signed:
        _note(layout, clock)


def _draw(below: int) -> int:
    """An even chance for each number below `below`; a thawed kernel may give the same random bytes for a minute, so the
    moments go in, too."""
    moments = f"{time.time_ns()} {time.monotonic_ns()} {time.process_time_ns()}".encode()
    return int.from_bytes(hashlib.sha256(os.urandom(32) + moments).digest()) % below


def _is_the_same(layout: ServiceLayout, clock: Clock) -> bool:
    """Whether neither a start nor the clocks say that this machine was put back or thawed since its last run."""
    try:
        known = json.loads(layout.last_boot.read_bytes())
        return bool(known["boot"] == clock.boot_id() and abs(known["apart"] - _apart(clock)) < CLOCKS_APART_SECONDS_MAX)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return False


def _note(layout: ServiceLayout, clock: Clock) -> None:
    text = json.dumps({"boot": clock.boot_id(), "apart": _apart(clock)})
    with contextlib.suppress(OSError):  # a full disk: the next run has one more sign
        write_atomic(layout.last_boot, text.encode() + b"\n", mode=0o600)


def _apart(clock: Clock) -> float:
    """The time since the start stands still in a frozen machine, and what corrects its wall clock sets that on."""
    return clock.now() - clock.boottime()
