"""A signal that asks this program to end, for programs with an event loop."""

from __future__ import annotations

import asyncio
import signal


def stop_asked() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set; call it within the loop that waits for it."""
    asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    return asked
