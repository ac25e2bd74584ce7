"""The program that runs services: it stands beside the agent, so that neither waits for the other.

It renews leases each few seconds, sends the voters' brokers requests and heartbeats, and has workers do what takes
long. Backups are the agent's; a hang of the one is none of the other, and a watchdog outside of both ends what nobody
renews.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import appliance
from appliance.backup.chain.grants import granters_of
from appliance.backup.peers.elsewhere import served
from appliance.clock import SystemClock
from appliance.coordination.keys import new_lease
from appliance.coordination.port import Alive
from appliance.coordination.remote import Broker, Remote
from appliance.coordination.tls import client_tls
from appliance.errors import ApplianceError, Refused
from appliance.failover.context import NodeContext, ServiceContext, begin
from appliance.failover.copies import BackupCopies
from appliance.failover.documents import SignedDocuments
from appliance.failover.forms.host_services import HostCopies, HostNetwork, HostServices, HostWatchdog
from appliance.failover.forms.privileged_client import HELPER_PATHS
from appliance.failover.forms.process_services import FileWatchdog, ProcessNetwork, ProcessServices
from appliance.failover.heartbeat import DocumentCache, HeartbeatRequest, send_heartbeats, until_turn
from appliance.failover.keeper import Keeper
from appliance.failover.kept_acts import KeptActs
from appliance.failover.ports import Copies, Network, Services, Watchdog
from appliance.failover.routes import follow_writers
from appliance.failover.status import failover_lock
from appliance.host.files import locked, make_private_folder, mark_of, write_atomic
from appliance.host.network.certificate_fields import public_key_in
from appliance.host.notify import READY, STOPPING, WATCHDOG, notify, watchdog_seconds
from appliance.host.stopping import stop_asked
from appliance.node.acts import note_act
from appliance.node.current import Current, files_of
from appliance.node.failover_status import path_of
from appliance.node.handle import Node
from appliance.node.movable_services import read_movable
from appliance.trust.bundle import Bundle
from appliance.trust.holder_answer import make_holder_answer
from appliance.trust.keys import load_key

LOOKS_AT_DOCUMENTS_SECONDS = 2.0
LEFT_EVERY_SECONDS = 15.0
SECONDS_DIGITS_MAX = 9
KEEPING = "keep grant"


def serve(state: Path, say: Callable[[str], None]) -> None:
    """Run failover for the node whose state folder is `state` until SIGTERM or SIGINT; services run on after it."""
    current = Current(state)
    brokers_of(current.node.bundle)
    make_private_folder(current.node.layout.failover)
    with locked(failover_lock(current.node.layout), what="failover of this node"):
        asyncio.run(_serve(current, say))


def brokers_of(bundle: Bundle) -> dict[str, Broker]:
    """The voters' brokers by the names of their nodes; raise Refused in a territory that has no voters.

    A voter whose keys were revoked has none until another box takes its place: its vote is missing, and counts.
    """
    found = {name: _broker(bundle, name) for name, key in bundle.voting.keys.items() if key}
    if not found:
        raise Refused(
            "this territory has no voters, so no service is taken over automatically.",
            remedy="Give three or five nodes of territory.yml the role `voter`: `appliance territory plan` names them.",
        )
    return found


def _broker(bundle: Bundle, name: str) -> Broker:
    node, keys = bundle.territory.nodes[name], bundle.member(name).keys
    certified = f"{name}.{bundle.territory.domain}"
    return Broker(node.reach, node.broker_port, certified, lambda certificate: public_key_in(certificate) == keys.tls)


async def _serve(current: Current, say: Callable[[str], None]) -> None:
    stop = stop_asked()
    node = current.node
    node.journal.note("failover-started", bundle=node.bundle.serial)
    say(f"Failover of {node.name} is running.")
    if not node.layout.is_this_host:
        say("Addresses, mounts and units need hosts: here programs on loopback replace them.")
    notify(READY)
    living = asyncio.create_task(_say_alive())
    while not stop.is_set():
        await _live(current, stop)
    living.cancel()
    notify(STOPPING)
    node.journal.note("failover-stopped", bundle=current.node.bundle.serial)
    say(f"Failover of {node.name} has stopped; services keep running until their leases must end.")


async def _live(current: Current, stop: asyncio.Event) -> None:
    """As long as the bundle is the same. A proof outlives this, so nothing is interrupted by another bundle."""
    lives_by = _lives_by(current)
    handle, tls, clock = current.node, client_tls(current.node.layout.tls), SystemClock()
    found = brokers_of(handle.bundle)
    first = (handle.name, *(name for name in found if name != handle.name))
    brokers = {name: Remote((broker,), clock, tls) for name, broker in found.items()}
    store = Remote([found[name] for name in first if name in found], clock, tls)
    node = make_node_context(current, store, brokers)
    node.documents.take(_documents(node, current))
    mine = served(handle)
    granted = [name for name in mine if name in node.documents.grants]
    keepers = begun(node, granted)
    if isinstance(node.services, HostServices):
        for name, why in (await node.services.close_what_rests()).items():
            with contextlib.suppress(OSError):
                node.alarm(name, f"its files could not be made read-only: {why}")
    tasks = [asyncio.create_task(keeper.run()) for keeper in keepers.values()]
    shown = asyncio.Event()
    wakes = (shown.set, *(keeper.wake for keeper in keepers.values()))
    node.documents.on_news = lambda: [wake() for wake in wakes]
    if handle.layout.is_this_host:
        tasks.append(asyncio.create_task(_end_what_left(node)))
        tasks.append(asyncio.create_task(follow_writers(node, read_movable(HELPER_PATHS.served), shown)))
    tasks.append(asyncio.create_task(_send_heartbeats(node, current, keepers)))
    tasks.append(asyncio.create_task(_report_alive(node)))
    tasks.append(asyncio.create_task(_until_another(current, lives_by)))
    if waiting := set(mine) - set(granted):
        tasks.append(asyncio.create_task(_until_granted(node, current, waiting)))
    tasks.append(asyncio.create_task(_until_set(stop)))
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await node.copies.close()
    for client in (store, *brokers.values()):
        await client.close()
    for task in done:
        task.result()


async def _end_what_left(node: NodeContext) -> None:
    """Beside all else: it takes seconds for each. Again until it is done."""
    assert isinstance(node.services, HostServices)
    told = set[str]()
    while True:
        failed = await node.services.end_what_left()
        for name in failed.keys() - told:
            with contextlib.suppress(OSError):
                node.alarm(
                    name, f"it does not belong to this node any more and could not be stopped here: {failed[name]}"
                )
        told = set(failed)
        await asyncio.sleep(LEFT_EVERY_SECONDS)


def begun(node: NodeContext, services: Iterable[str]) -> dict[str, Keeper]:
    """Return one keeper per service. A service whose state is unreadable gets none; its watchdog stops whatever still
    runs."""
    found = {}
    for name in services:
        try:
            found[name] = Keeper(begin(node, name))
        except (ApplianceError, OSError) as error:
            with contextlib.suppress(OSError):
                path_of(node.run, name).unlink(missing_ok=True)  # or the doctor goes on telling how it stood before
            with contextlib.suppress(OSError):
                node.alarm(name, f"it is not managed here: {error}")
    return found


async def _say_alive() -> None:
    """To systemd, while this loop runs."""
    every = watchdog_seconds()
    while every:
        notify(WATCHDOG)
        await asyncio.sleep(every / 3)


async def _report_alive(node: NodeContext) -> None:
    """Say to the voters that this node runs; people plan by it, and nothing is decided by it."""
    ttl = 2 * round(node.timers.ttl)
    alive = Alive(node.name, node.boot_id, new_lease(node.name, secrets.randbits(32)), ttl)
    while True:
        with contextlib.suppress(ApplianceError):
            await node.store.report(alive)
        await asyncio.sleep(ttl / 4)


async def _until_another(current: Current, lives_by: tuple[int, int]) -> None:
    lock = str(failover_lock(current.node.layout))
    while _lives_by(current) == lives_by:
        with contextlib.suppress(OSError):  # a full btrfs may have no room for that either
            os.utime(lock)  # tells `status` that this program lives
        await asyncio.sleep(until_turn(asyncio.get_running_loop().time()))


async def _until_granted(node: NodeContext, current: Current, waiting: set[str]) -> None:
    """Wait until a service of `waiting` was granted to a node. Before that there is nothing to serve, and nothing to
    pull. A service that cannot be read here is left out for as long as that is so."""
    while not (waiting - node.unread) & set(node.documents.grants):
        await asyncio.sleep(LOOKS_AT_DOCUMENTS_SECONDS)
        node.documents.take(_documents(node, current))


def _lives_by(current: Current) -> tuple[int, int]:
    """The serial of the bundle, and when root last wrote down what that means for this host."""
    try:
        written = os.stat(HELPER_PATHS.served).st_mtime_ns
    except FileNotFoundError:
        written = 0
    return current.node.bundle.serial, written


async def _until_set(stop: asyncio.Event) -> None:
    await stop.wait()


def make_node_context(current: Current, store: Remote, brokers: dict[str, Remote]) -> NodeContext:
    node = current.node
    documents = SignedDocuments(
        lambda service: granters_of(current.node, service), lambda: current.node.bundle.operators
    )
    run = make_private_folder(node.layout.failover)
    services, network, watchdog, copies = _ports(current, run)
    return NodeContext(
        name=node.name,
        bundle=lambda: current.node.bundle,
        clock=node.clock,
        boot_id=node.clock.boot_id(),
        store=store,
        brokers=brokers,
        documents=documents,
        own_acts=KeptActs(current).look,
        key=load_key(node.signing_key),
        services=services,
        network=network,
        watchdog=watchdog,
        copies=copies,
        folder=lambda service: node.layout.service(service).root,
        run=run,
        history=node.layout.failover_history,
        alarm=lambda service, sentence: node.journal.write("failover-alarm", service=service, sentence=sentence),
    )


def _ports(current: Current, run: Path) -> tuple[Services, Network, Watchdog, Copies]:
    """Return the ports of this machine: units of this host, or programs on loopback."""
    if current.node.layout.is_this_host:
        return HostServices(run), HostNetwork(), HostWatchdog(run), HostCopies(current)
    code = Path(appliance.__file__).parent.parent
    folder_of = lambda name: files_of(current.node, current.node.bundle.terms(name).service.paths[0])  # noqa: E731
    services = ProcessServices(current.node.layout, current.node.name, folder_of, code)
    return services, ProcessNetwork(run), FileWatchdog(run), BackupCopies(current)


async def _send_heartbeats(node: NodeContext, current: Current, keepers: dict[str, Keeper]) -> None:
    def answer(service: str, epoch: int, challenge: str) -> bytes | None:
        keeper = keepers.get(service)
        own = keeper.ctx.own if keeper else None
        if keeper is None or own is None or own.epoch != epoch or not (keeper.holds or keeper.ctx.has_not_released):
            return None
        lasts = keeper.ctx.proven.lease.ttl_seconds if keeper.ctx.proven else 0
        named = {"service": service, "holder": node.name, "challenge": challenge}
        return make_holder_answer(node.key, epoch=epoch, lease_seconds=lasts, **named)

    def learn(broker: str, news: tuple[str, ...], serving: tuple[str, ...], ready: tuple[str, ...]) -> None:
        node.documents.take(text.encode() for text in news)
        now = node.clock.boottime()
        for service in keepers.keys() & {text.partition(" ")[0] for text in serving}:
            keepers[service].ctx.served_at = now
        for service, seconds in _parse_ready(ready):
            if service in keepers:
                keepers[service].ctx.origin_ready = now - seconds, now
        keep_newest(keepers.values())
        _keep_acts(node, current)

    def says() -> HeartbeatRequest:
        ready = ((name, keeper.ready_seconds) for name, keeper in keepers.items())
        return HeartbeatRequest(
            tuple(name for name, keeper in keepers.items() if keeper.serves),
            tuple(f"{name} {seconds:.0f}" for name, seconds in ready if seconds is not None),
            whole=not node.unread,
        )

    def mark() -> object:
        again = node.clock.boottime() if node.unread else 0.0  # what could not be read is tried each time
        return again, node.own_acts(), *map(mark_of, folders)

    folders = [folder for name in _kept_here(current.node) for folder in _folders(node, name)]
    documents = DocumentCache(lambda: _documents(node, current), mark, node.clock)
    await send_heartbeats(node.brokers, documents.read, answer, learn, node.timers.retry, says)


def _parse_ready(ready: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    for text in ready:
        service, _, seconds = text.partition(" ")
        with contextlib.suppress(ValueError):
            yield service, int(seconds[:SECONDS_DIGITS_MAX])


def _documents(node: NodeContext, current: Current) -> tuple[bytes, ...]:
    """All that this node can show: the newest grants that it keeps, its releases, the acts that it obeys. A service
    that cannot be read is reported, and hides nothing of the others."""
    acts = (act.document.raw for act in node.own_acts())
    return tuple(dict.fromkeys((*readable(node, _kept_here(current.node)), *acts)))


def readable(node: NodeContext, services: Iterable[str]) -> list[bytes]:
    """The signed documents of `services` that are kept here."""
    found = list[bytes]()
    for name in services:
        try:
            found += _documents_of(node, name)
            node.unread.discard(name)
        except (ApplianceError, OSError, UnicodeDecodeError) as error:
            if name not in node.unread:
                node.unread.add(name)
                with contextlib.suppress(OSError):
                    node.alarm(name, f"its grants cannot be read here: {error}")
    return found


def _documents_of(node: NodeContext, service: str) -> list[bytes]:
    folder = node.folder(service)
    kept = (folder / it for it in ("known-grant", "granted", "release"))
    found = [*node.copies.documents(service), *(path.read_bytes() for path in kept if path.exists())]
    for raw in found:
        raw.decode()  # documents are shown as text
    return found


def _kept_here(node: Node) -> list[str]:
    """The services of which this node may have signed documents."""
    services = node.bundle.territory.services.items()
    return [name for name, it in services if node.name in (it.node, *it.standbys, *node.bundle.terms(name).others(""))]


def _folders(node: NodeContext, service: str) -> tuple[str, ...]:
    """Where what `_documents` reads is kept."""
    return str(node.folder(service)), *map(str, node.copies.document_folders(service))


def keep_newest(keepers: Iterable[Keeper]) -> None:
    """Keep the grant of a newer writer that others showed, so that a restart does not forget it. One that cannot be
    kept counts all the same."""
    for keeper in keepers:
        with keeper.ctx.telling(KEEPING):
            _keep_newest(keeper.ctx)


def _keep_acts(node: NodeContext, current: Current) -> None:
    """A quarantine that only others showed goes where the vault of this node looks for acts: it talks to nobody."""
    for act in (it for it in node.documents.acts() if it.act == "quarantine"):
        folder, digest = current.node.layout.acts, act.document.digest
        if not (folder / digest).exists():
            with contextlib.suppress(OSError, ApplianceError):  # on a full disk the next answer of a broker brings it
                write_atomic(make_private_folder(folder) / digest, act.document.raw)
                note_act(current.node, act)


def _keep_newest(ctx: ServiceContext) -> None:
    granted = ctx.node.documents.grants.get(ctx.service)
    if granted is not None and granted is not ctx.noted:
        path = make_private_folder(ctx.node.folder(ctx.service)) / "known-grant"
        if not path.exists() or path.read_bytes() != granted.document.raw:
            write_atomic(path, granted.document.raw)
        ctx.noted = granted
