"""A demo that is cut short tidies up: Ctrl-C, `kill` and a terminal that closes all end it the same way, once."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from appliance.host.command import descendants

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interrupted_once() -> Iterator[None]:
    """Raise KeyboardInterrupt at the first of SIGNALS; a second one must not cut the tidying up."""
    # A caller that started us with a signal ignored (nohup, a shell's `&`) meant it.
    before = {it: signal.getsignal(it) for it in SIGNALS if signal.getsignal(it) is not signal.SIG_IGN}

    def end(_number: int, _frame: object) -> None:
        for it in before:
            # A function, since what is started later would inherit SIG_IGN, and nobody could end it politely.
            signal.signal(it, _nothing)
        raise KeyboardInterrupt

    for it in before:
        signal.signal(it, end)
    try:
        yield
    finally:
        for it, handler in before.items():
            signal.signal(it, handler)


def end_what_is_left() -> None:
    """Kill whatever this process has started: an interruption may fall between a start and its return, and what
    nobody holds any more would go on writing into a folder that is removed."""
    for pid in descendants(os.getpid()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()


def _nothing(_number: int, _frame: object) -> None:
    pass
