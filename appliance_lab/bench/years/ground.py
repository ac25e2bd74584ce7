"""A territory whose services have a past: one that is measured whole, and others that its standby holds beside it.

The first service is real in all: its repository is borg's, its past is that of its home, of its standby and of a blind
peer. Of the others only what the standby holds is there, with a few bytes in place of a repository: their homes are
other boxes, which nobody measures. So a node that stands by for a whole territory has all that it looks at.
"""

from __future__ import annotations

import os
import shutil
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

from appliance.backup.chain.chain import Sealed, chain_of
from appliance.backup.chain.lineage import remember
from appliance.backup.vault.replicas import replica_of
from appliance.backup.writer import writer
from appliance.backup.writer.begin import begin, take_first_grant
from appliance.borg.nonce import floor_of, read_nonce, write_nonce
from appliance.clock import SystemClock
from appliance.failover.warm_standby import install_ahead
from appliance.host.files import make_private_folder
from appliance.node.handle import Node, open_node
from appliance.territory.model import Service, Territory
from appliance.trust.generation import Entry
from appliance.trust.grant import Grant
from appliance.trust.signed import digest_of
from appliance.units import HOUR, MIB
from appliance_lab.bench.env import with_room
from appliance_lab.bench.measure import listening
from appliance_lab.bench.years import left
from appliance_lab.bench.years.eras import eras
from appliance_lab.bench.years.granting import Granting
from appliance_lab.bench.years.past import Signed, sign
from appliance_lab.demo.context import BLIND, ORIGIN, SERVICE, SPARE, STANDBY
from appliance_lab.processes.node import ProcessNode, free_ports
from appliance_lab.processes.territory import ProcessTerritory, on_ports

ADDRESS = "127.0.0.1"
HOLDERS = (STANDBY, BLIND)
EVENTS_EACH = 12
"""Lines of a journal for each generation: the read, the seal, each push, exchanges, what a day of upkeep says."""
FILES = {"config": b"[repository]\nversion = 1\n", "README": b"This is a Borg Backup repository.\n", "data/0/1": b"x"}


@dataclass(frozen=True)
class Span:
    """How much past there is: hourly generations of the first service and of each other one in the same time, takeovers
    of the first, and of each other one."""

    generations: int
    of_others: int
    takeovers: int
    takeovers_of_others: int = 1
    services: int = 20

    @property
    def age_seconds(self) -> int:
        """The age of every node by its ageing clock, an hour after the newest generation."""
        return self.generations * HOUR


@dataclass
class Years:
    """`territory` with a past of `span`; all services have their standby at STANDBY."""

    root: Path
    territory: ProcessTerritory
    span: Span
    opened: dict[str, Node] = field(default_factory=dict)
    """Nodes as they were first opened: a bundle is not proven again for each grant."""

    @property
    def others(self) -> tuple[str, ...]:
        return tuple(name for name in self.territory.territory.services if name != SERVICE)

    def node(self, name: str) -> Node:
        if name not in self.opened:
            self.opened[name] = self.territory.open(name)
        return self.opened[name]

    def process(self, name: str) -> ProcessNode:
        return self.territory.nodes[name]

    @property
    def documents(self) -> Path:
        return self.root / "documents"

    def listening(self) -> AbstractContextManager[None]:
        return listening([self.process(name) for name in HOLDERS])

    def wipe(self) -> None:
        self.territory.stop()
        shutil.rmtree(self.root, ignore_errors=True)


class Earlier(SystemClock):
    """The wall clock of `seconds` ago."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def now(self) -> float:
        return super().now() - self._seconds


def make_years(root: Path, span: Span) -> Years:
    """Make the territory and its past at `root`, emptied first."""
    shutil.rmtree(root, ignore_errors=True)
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)  # sshd started by root separates privileges there
    documents = make_private_folder(root) / "documents"
    documents.mkdir()
    for number in range(20):
        (documents / f"{number}.txt").write_text(f"délibération {number}\n" * 100)
    made = ProcessTerritory(root, _plan(documents, span.services))
    made.create()
    made.sign()
    years = Years(root, made, span)
    _give_past(years)
    _give_past_of_others(years)
    for name in made.nodes:
        left.set_age(made.nodes[name].layout, span.age_seconds)
    _settle(years)
    return years


def _plan(documents: Path, services: int) -> Territory:
    plan = with_room(10 * MIB)
    first = replace(plan.service(SERVICE), paths=(str(documents),), standbys=(STANDBY,))
    others = (_other(first, number) for number in range(1, services))
    plan = replace(plan, services={it.name: it for it in (first, *others)})
    ports = free_ports(ADDRESS, len(plan.nodes))
    return on_ports(plan, dict(zip(plan.nodes, ports, strict=True)), ADDRESS)


def _other(first: Service, number: int) -> Service:
    return replace(first, name=f"docs-{number:02}", node=SPARE, quota_bytes=first.quota_bytes // 10)


def _give_past(years: Years) -> None:
    """The past of the first service: at its home, at its standby and at the blind peer."""
    span, made = years.span, years.territory
    begun = SystemClock().now() - span.generations * HOUR
    first = _first_generation(years, span.generations * HOUR)
    origin = years.node(ORIGIN)
    past = _past(years, first, chain_of(origin, SERVICE).grant(), begun)
    held = left.kept(past, span.age_seconds, made.territory.service(SERVICE).lock_seconds)
    for name in HOLDERS:
        replica = replica_of(years.node(name), SERVICE)
        replica.create()
        for entry in first.entries:
            left.put(replica, (origin.service(SERVICE).sealed / first.header.id.name / entry.path).read_bytes())
        left.at_replica_node(replica, name, past, held)
    _go_on_at_home(origin, past, first)


def _first_generation(years: Years, seconds_ago: float) -> Sealed:
    """The first backup of the service, so long ago, when no peer answered."""
    made = years.territory
    origin = open_node(made.nodes[ORIGIN].state, Earlier(seconds_ago))
    take_first_grant(origin, SERVICE, made.grant(begin(origin, SERVICE), ORIGIN))
    return writer.run(origin, SERVICE).sealed


def _go_on_at_home(origin: Node, past: list[Signed], first: Sealed) -> None:
    """Have the home go on from the newest of `past`, as if it had sealed it: its files, its counter, its memory."""
    layout, chain, newest = origin.service(SERVICE), chain_of(origin, SERVICE), past[-1]
    shutil.rmtree(chain.root / first.header.id.name)
    left.at_writer(chain, past, ORIGIN)
    folder = layout.sealed / newest.header.id.name
    (layout.sealed / first.header.id.name).rename(folder)
    (folder / "grant").write_bytes(newest.epoch.grant.document.raw)
    write_nonce(layout.repository, max(floor_of(newest.header.epoch), read_nonce(layout.repository) or 0))
    remember(origin, SERVICE, Sealed(newest.header, newest.epoch.listing, newest.epoch.entries))


def _give_past_of_others(years: Years) -> None:
    """The past of each other service: what its standby holds."""
    span, made = years.span, years.territory
    step = span.generations / max(1, span.of_others)
    begun = SystemClock().now() - span.generations * HOUR
    for service in years.others:
        replica = replica_of(years.node(STANDBY), service)
        replica.create()
        for raw in FILES.values():
            left.put(replica, raw)
        past = _past_of_other(years, service, begun, step)
        held = left.kept(past, span.age_seconds, made.territory.service(service).lock_seconds)
        left.at_replica_node(replica, STANDBY, past, held)


def _past_of_other(years: Years, service: str, begun: float, step: float) -> list[Signed]:
    span, repository = years.span, digest_of(service.encode())
    files = [Entry(path, digest_of(raw), len(raw)) for path, raw in FILES.items()]
    granting = Granting(years.territory, years.node, service, repository, files)
    epochs = granting.epochs(eras(span.of_others, span.takeovers_of_others, SPARE, BLIND))
    holders = {STANDBY: years.node(STANDBY).signing_key}
    return list(sign(service, epochs, holders, begun=begun, step=step))


def _past(years: Years, first: Sealed, grant: Grant, begun: float) -> list[Signed]:
    """All generations of the first service, `first` among them."""
    span = years.span
    granting = Granting(years.territory, years.node, SERVICE, grant.repository, first.entries, {grant.epoch: grant})
    epochs = granting.epochs(eras(span.generations, span.takeovers, ORIGIN, STANDBY))
    keys = {name: years.node(name).signing_key for name in HOLDERS}
    return list(sign(SERVICE, epochs, keys, begun=begun, first=first.header))


def _settle(years: Years) -> None:
    """Have the nodes do what they do next by themselves, by the code of the product: the standby learns the chain and
    lays the newest generation out, the home backs up once."""
    with years.listening():
        install_ahead(years.node(STANDBY), SERVICE)
        writer.run(years.node(ORIGIN), SERVICE)
        install_ahead(years.node(STANDBY), SERVICE)
    for name in (ORIGIN, *HOLDERS):
        layout = years.process(name).layout
        events = EVENTS_EACH * years.span.generations
        begun = SystemClock().now() - years.span.generations * HOUR
        if layout.journal.exists():
            left.write_journal(layout.journal, events, begun, HOUR / EVENTS_EACH)
