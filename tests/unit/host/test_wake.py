"""A sleep ends at the first thing that happens, and only then."""

from __future__ import annotations

import os
import signal
import subprocess
import time

from appliance.host.wake import Waiter, Woken

LONG = 30.0


def test_a_while_passes_by_the_boot_clock() -> None:
    with Waiter([]) as waiter:
        began = time.clock_gettime(time.CLOCK_BOOTTIME)
        assert waiter.wait(0.05) == Woken()
        assert 0.05 <= time.clock_gettime(time.CLOCK_BOOTTIME) - began < LONG


def test_nothing_to_wait_for_returns_at_once() -> None:
    with Waiter([]) as waiter:
        assert waiter.wait(0) == Woken()
        assert waiter.wait(-5) == Woken()


def test_a_signal_wakes_and_is_kept_for_the_next_sleep() -> None:
    with Waiter([signal.SIGUSR1, signal.SIGUSR2]) as waiter:
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGUSR2)
        assert waiter.wait(LONG).signals == (signal.SIGUSR1, signal.SIGUSR2)


def test_the_end_of_a_child_wakes_once_and_leaves_it_to_be_reaped() -> None:
    with Waiter([]) as waiter, subprocess.Popen(["true"]) as child:
        waiter.watch(child.pid)
        assert waiter.wait(LONG).ended == (child.pid,)
        assert waiter.wait(0) == Woken()
        assert child.wait() == 0


def test_closing_gives_the_signals_back() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    with Waiter([signal.SIGUSR1]):
        assert signal.getsignal(signal.SIGUSR1) is not before
    assert signal.getsignal(signal.SIGUSR1) is before
