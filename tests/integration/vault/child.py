"""A vault in a forked child, over pipes or at its own work, to be killed anywhere: after some bytes, or before any step
on the disk.

Only the child is patched, and it dies by SIGKILL, as in a power cut of its process: nothing gets to say goodbye.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from appliance.backup.vault.session import open_channel, serve
from appliance.backup.vault.wire import Channel
from tests.worlds.vaults import HOLDER, ORIGIN, VaultWorld

STEPS = ("open", "mkdir", "fsync", "fchmod", "chmod", "link", "rename", "unlink", "truncate", "ftruncate")


@dataclass
class Child:
    channel: Channel
    pid: int
    ended: int | None = None
    """Its wait status, once it has ended."""

    @property
    def was_killed(self) -> bool:
        return self.ended is not None and os.WIFSIGNALED(self.ended)


@contextmanager
def vault_child(
    vaults: VaultWorld, in_child: Callable[[], None] = lambda: None, caller: str = ORIGIN
) -> Iterator[Child]:
    """A conversation with a vault of commune-b that runs `in_child` first."""
    (there_in, here_out), (here_in, there_out) = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(here_out)
        os.close(here_in)
        code = 70
        try:
            in_child()
            code = serve(vaults.open(HOLDER), caller, open_channel(there_in, there_out))
        finally:
            os._exit(code)
    os.close(there_in)
    os.close(there_out)
    child = Child(Channel(here_in, here_out, quiet_seconds=30), pid)
    try:
        yield child
    finally:
        os.close(here_out)
        _, child.ended = os.waitpid(pid, 0)
        os.close(here_in)


def wait_status_of(do: Callable[[], object]) -> int:
    """How a child that does `do` and nothing else ended."""
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            do()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)[1]


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_step(number: int) -> Callable[[], None]:
    """Die before the step `number` that opens or changes anything on the disk."""

    def patch() -> None:
        left = number

        def counted(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **options: Any) -> Any:
                nonlocal left
                if left == 0:
                    die()
                left -= 1
                return real(*args, **options)

            return call

        for name in STEPS:
            setattr(os, name, counted(getattr(os, name)))

    return patch


def die_after_bytes(number: int) -> Callable[[], None]:
    """Die once `number` bytes of blobs have come in."""

    def patch() -> None:
        left = number
        real = Channel.read_some

        def read_some(self: Channel, size_max: int) -> bytes:
            nonlocal left
            piece = real(self, size_max)
            left -= len(piece)
            if left < 0:
                die()
            return piece

        Channel.read_some = read_some  # type: ignore[method-assign]

    return patch
