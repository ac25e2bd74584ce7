"""Serve the pages with uvicorn: one process for them, and beside it the worker that has the powers.

On a host systemd starts it for the first connection and keeps the socket; it ends when no browser has asked for some
minutes. Nothing that it must remember is in memory: sessions and tries are in a file, requests in folders.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import socket
import ssl
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import uvicorn

from appliance.errors import Busy, NotFound, UsageError
from appliance.host.children import start_worker
from appliance.host.layout import NodeLayout
from appliance.host.memory import give_back, share_one_heap
from appliance.portal.base.sign_in import ANSWER_SECONDS
from appliance.portal.build import build
from appliance.portal.certificates import PublicName
from appliance.portal.connections import Connections, Few, Listener, bound
from appliance.portal.worker_socket import WorkerCall
from appliance.units import MINUTE

QUIET_SECONDS = 5
LAST_ANSWERS_SECONDS = 10
GIVE_BACK_SECONDS = 10
TICK_SECONDS = 1.0
IDLE_SECONDS = 5 * MINUTE
"""A person reads a page, goes to the printer and comes back to a program that still runs."""


@dataclass(frozen=True)
class ListenSettings:
    """Where pages are asked for. Without a certificate that is this machine alone: passwords travel here."""

    address: str
    port: int
    names: Collection[str] = ()
    certificate: Path | None = None
    key: Path | None = None
    public: PublicName | None = None

    def check(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise UsageError(
                "a certificate and its key must be given together.", remedy="Give --cert FILE and --key FILE."
            )
        if self.certificate is None and not ipaddress.ip_address(self.address).is_loopback:
            raise UsageError(
                f"passwords would travel in clear to {self.address}.",
                remedy="Give --cert and --key, or listen on 127.0.0.1.",
            )
        if self.public is not None and self.certificate is None:
            raise UsageError(
                "a public name needs the node's own certificate as well.", remedy="Also give --cert and --key."
            )
        for file in (self.certificate, self.key):
            if file and not (file.is_file() and os.access(file, os.R_OK)):
                raise NotFound("this file does not exist, or this account cannot read it.", where=str(file))


def serve(
    layout: NodeLayout,
    settings: ListenSettings,
    *,
    answer_seconds: float = ANSWER_SECONDS,
    worker: Path | None = None,
    taken: socket.socket | None = None,
    idle_seconds: float = IDLE_SECONDS,
) -> None:
    """Serve until SIGTERM or SIGINT; raise Busy when somebody listens there already. `worker`: the socket at which the
    worker is called, where it is not a child of this process. `taken`: the listening socket of who started this for a
    connection, and starts it again; then this ends after `idle_seconds` without one."""
    settings.check()
    share_one_heap()
    names = (*settings.names, settings.public.name) if settings.public else settings.names
    app = build(layout, names=names, secure=settings.certificate is not None, answer_seconds=answer_seconds)
    if worker:
        app = WorkerCall(worker).calling(app)
    connections = Connections()
    config = uvicorn.Config(
        connections.answering(app),
        ssl_certfile=settings.certificate,
        ssl_keyfile=str(settings.key) if settings.key else None,
        ssl_version=ssl.PROTOCOL_TLS_SERVER,
        # Another loop would accept connections without asking the listener.
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="off",
        # A proxy would name the client in a header: there is none, and everybody may write that header.
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_level="warning",
        timeout_keep_alive=QUIET_SECONDS,
        timeout_graceful_shutdown=LAST_ANSWERS_SECONDS,
        callback_notify=_give_back,
        timeout_notify=GIVE_BACK_SECONDS,
    )
    config.load()
    logging.getLogger("uvicorn.error").addFilter(Few())
    if config.ssl is not None and settings.public is not None:
        config.ssl.sni_callback = settings.public.choose
    listener = Listener(taken or _bound(settings), connections)
    CalmServer(config, partial(connections.are_over, idle_seconds) if taken else None).run([listener])


def _bound(settings: ListenSettings) -> socket.socket:
    try:
        return bound(settings.address, settings.port)
    except OSError as error:
        raise Busy(
            f"{settings.address}:{settings.port} is already in use or cannot be bound.",
            remedy="Choose another --listen, or stop the program that listens there.",
        ) from error


class CalmServer(uvicorn.Server):
    """uvicorn wakes ten times a second, all night, to write the date of its answers each tenth time and to see whether
    it was asked to stop. Once a second is enough for both, and for whether `over` says that nobody asks any more.

    Between that answer and the end of its listening no connection is taken: the next one waits for the next program.
    """

    def __init__(self, config: uvicorn.Config, over: Callable[[], bool] | None = None) -> None:
        super().__init__(config)
        self._over = over

    async def main_loop(self) -> None:
        while not await self.on_tick(0):  # a tenth time, each time
            if self._over and self._over():
                return
            await asyncio.sleep(TICK_SECONDS)


async def _give_back() -> None:
    give_back()


@contextmanager
def worker_beside(layout: NodeLayout) -> Iterator[None]:
    """The worker as a child, for as long as the pages are served."""
    worker = start_worker(
        (sys.executable, "-s", "-m", "appliance.portal.worker", str(layout.root), str(os.getpid())), {}
    )
    try:
        yield
    finally:
        worker.reap()
