"""A parcel that nothing compresses, sealed once and pushed to one peer again and again: memory and cuts."""

from __future__ import annotations

import os
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

from appliance.backup.chain.chain import chain_of
from appliance.backup.peers.conversation import Lines
from appliance.backup.peers.push import Pushed, push
from appliance.errors import ApplianceError
from appliance.host.files import make_private_folder
from appliance.units import MIB
from appliance_lab.bench.bench import Bench
from appliance_lab.bench.env import BenchEnv
from appliance_lab.bench.figures import Figure, Goal
from appliance_lab.bench.measure import MemoryWatch, listening
from appliance_lab.bench.relay import Relay, relayed
from appliance_lab.bench.rival import Rival
from appliance_lab.demo.context import BLIND, ORIGIN, SERVICE
from appliance_lab.processes.node import ProcessNode

PIECES = 8


@dataclass(frozen=True)
class Parcel:
    """A sealed generation at the origin of `env`, and the peer it goes to."""

    env: BenchEnv

    @property
    def peer(self) -> ProcessNode:
        return self.env.territory.nodes[BLIND]

    def push(self) -> Pushed:
        node = self.env.territory.open(ORIGIN)
        chain = chain_of(node, SERVICE)
        sealed = chain.newest()
        assert sealed is not None
        with Lines(node) as lines:
            return push(lines, chain, sealed, node.service(SERVICE).sealed / sealed.header.id.name, BLIND)

    def forget(self) -> None:
        """Let the peer never have seen it."""
        shutil.rmtree(self.peer.layout.vault / SERVICE, ignore_errors=True)
        for receipt in self.env.origin.layout.service(SERVICE).chain.glob(f"*/receipt-{BLIND}"):
            receipt.unlink()


def memory(bench: Bench) -> tuple[Figure, ...]:
    """The highest resident memory of the vault while a push comes in, and of `borg serve` while a create does."""
    parcel = _parcel(bench)
    ours, theirs = [], []
    with listening((parcel.peer,)):
        for number in bench.runs("memory of a vault"):
            parcel.forget()
            watch = MemoryWatch(("appliance.backup.vault", str(parcel.peer.state)))
            with watch.watching():
                _succeeded(parcel.push())
            ours.append(_peak(watch))
            theirs.append(_peak_of_serve(parcel.env, number))
    parcel.env.wipe()
    notes = (f"`borg serve`: {min(theirs):.0f} to {max(theirs):.0f} MiB for the same data",)
    return (Figure("vault-memory", "memory of a vault receiving", "MiB", tuple(ours), goal=Goal(30), notes=notes),)


def _peak_of_serve(env: BenchEnv, number: int) -> float:
    rival = Rival(env, f"memory-{number}")
    to = env.territory.nodes[BLIND]
    rival.init(to)
    watch = MemoryWatch(("borg", "serve", str(env.root)))
    with watch.watching():
        rival.create(to)
    rival.wipe()
    return _peak(watch)


def _peak(watch: MemoryWatch) -> float:
    return max(watch.peaks.values()) / MIB


def cut(bench: Bench) -> tuple[Figure, ...]:
    """The link breaks at a random byte of a push, and the push is done again: what goes over the wire twice."""
    parcel = _parcel(bench)
    draw = random.Random(1)
    again = []
    with relayed(parcel.env, (BLIND,)) as relays, listening((parcel.peer,)):
        relay = relays[BLIND]
        for _ in bench.runs("cut at a random byte"):
            parcel.forget()
            whole = _wire_bytes(relay, parcel)
            parcel.forget()
            relay.cut_after = relay.sent + draw.randrange(whole // 20, whole - whole // 20)
            before = relay.sent
            if parcel.push().error is None:
                raise ApplianceError("the link was cut and the push did not notice.")
            again.append((relay.sent - before + _wire_bytes(relay, parcel) - whole) / MIB)
    parcel.env.wipe()
    notes = ("both pushes together, less what one that is not cut takes: it counts the second greeting too",)
    return (Figure("cut", "cut at a random byte, bytes sent again", "MiB", tuple(again), goal=Goal(1.0), notes=notes),)


def _wire_bytes(relay: Relay, parcel: Parcel) -> int:
    relay.cut_after = None
    before = relay.sent
    _succeeded(parcel.push())
    return relay.sent - before


def _succeeded(pushed: Pushed) -> None:
    if pushed.error:
        raise pushed.error


def _parcel(bench: Bench) -> Parcel:
    folder = bench.work / "parcel-documents"
    if not folder.exists():
        _fill(make_private_folder(folder), bench.size.parcel_bytes)
    env = bench.set_up("parcel", folder)
    bench.say("sealing a parcel")
    with env.listening():
        env.back_up()
    return Parcel(env)


def _fill(folder: Path, size: int) -> None:
    for number in range(PIECES):
        with open(folder / f"piece-{number}", "wb") as file:
            for _ in range(size // PIECES // MIB):
                file.write(os.urandom(MIB))
