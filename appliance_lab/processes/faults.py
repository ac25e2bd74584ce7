"""The faults of nodes in process mode, by name: each with its healing, written into the history with its moment.

Lines are cut, clocks set off and disks filled on a stage that has them (`failover.staged`, `disturbed`), and acts are
signed where it has an operator's key; elsewhere these faults have no targets. Acts of operators count as faults, too:
runs want moves, promotions and quarantines in the middle of others.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from appliance.trust.act import ANY_SERVICE
from appliance.units import DAY, HOUR
from appliance_lab.processes.etcd import EtcdProcess
from appliance_lab.processes.failover import VOTERS, FailoverWorld


@dataclass(frozen=True)
class Fault:
    """`targets`: the nodes or links it may happen to. The injector of a fault heals it, too. `alone`: no other happens
    at that time."""

    targets: Callable[[FailoverWorld], tuple[str, ...]]
    inject: Callable[[FailoverWorld, str], None]
    heal: Callable[[FailoverWorld, str], None]
    alone: bool = False


def inject(world: FailoverWorld, kind: str, target: str) -> None:
    """Let it happen; told before, as what follows may be quick."""
    world.tell("nemesis", 0, "fault", fault=kind, target=target)
    FAULTS[kind].inject(world, target)


def heal(world: FailoverWorld, kind: str, target: str) -> None:
    """End it; told after, but for a thaw, after which a writer answers at once."""
    thaws = kind == "freeze"
    if not thaws:
        FAULTS[kind].heal(world, target)
    world.tell("nemesis", 0, "heal", fault=kind, target=target)
    if thaws:
        FAULTS[kind].heal(world, target)


def _kill(world: FailoverWorld, name: str) -> None:
    served = world.program(name).running() is not None
    world.end(name)
    if served:
        for event in ("address-del", "writer-stop"):
            world.tell(name, 0, event)


def _freeze(world: FailoverWorld, name: str) -> None:
    _signal_all(world, name, signal.SIGSTOP)


def _thaw(world: FailoverWorld, name: str) -> None:
    _signal_all(world, name, signal.SIGCONT)


def _signal_all(world: FailoverWorld, name: str, number: signal.Signals) -> None:
    """The watchdog first: it was started before the program that serves, whose turn is last."""
    for process in world.node(name).processes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
    if (served := world.program(name).running()) is not None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(served.pid, number)


def _crash_agent(world: FailoverWorld, name: str) -> None:
    agent = world.node(name).processes.pop()
    agent.kill()
    agent.wait()
    _tell_if_ended(world, name)


def _hang_agent(world: FailoverWorld, name: str) -> None:
    world.agent(name).send_signal(signal.SIGSTOP)
    _tell_if_ended(world, name)


def _tell_if_ended(world: FailoverWorld, name: str) -> None:
    """A node that is stopped right after it ended its writer says so too late, or never."""
    served = world.program(name).running()
    if served is None or served.wait_end(DYING_SECONDS_MAX):
        world.tell(name, 0, "writer-stop")


def _crash_service(world: FailoverWorld, name: str) -> None:
    if (served := world.program(name).running()) is not None:
        os.killpg(served.pid, signal.SIGKILL)
        world.tell(name, 0, "writer-stop")


def _nothing(world: FailoverWorld, name: str) -> None: ...


def _lose_quorum(world: FailoverWorld, name: str) -> None:
    for voter in world.etcd.voters[1:]:
        voter.kill()


def _regain_quorum(world: FailoverWorld, name: str) -> None:
    for voter in world.etcd.voters[1:]:
        _start(voter)


def _start(voter: EtcdProcess) -> None:
    """Two faults may have ended it, and both are healed."""
    if voter.ended():
        voter.start()


def _cut(*, out: bool = True, into: bool = True) -> Fault:
    """All lines of a node, in both directions or one."""
    why = f"cut {out} {into}"

    def inject(world: FailoverWorld, name: str) -> None:
        assert world.network is not None
        world.network.cut(f"{why} {name}", world.network.of_node(name, out=out, into=into))

    return Fault(_on_lines, inject, _mend(why))


def _mend(why: str) -> Callable[[FailoverWorld, str], None]:
    def heal(world: FailoverWorld, target: str) -> None:
        assert world.network is not None
        world.network.mend(f"{why} {target}")

    return heal


def _cut_line(world: FailoverWorld, target: str) -> None:
    """Between two nodes, while all others reach both."""
    assert world.network is not None
    a, b = target.split()
    world.network.cut(f"line {target}", {(a, b), (b, a)})


def _lose_packets(world: FailoverWorld, name: str) -> None:
    """Lose so many in a hundred of all packets to and from a node, each way."""
    assert world.network is not None
    world.network.lose(f"loss {name}", world.network.of_node(name), LOST_PERCENT)


def _delay(world: FailoverWorld, name: str) -> None:
    assert world.network is not None
    world.network.delay(name, DELAY_SECONDS)


def _hasten(world: FailoverWorld, name: str) -> None:
    assert world.network is not None
    world.network.hasten(name)


def _everything_off(world: FailoverWorld, target: str) -> None:
    """All nodes and voters lose power at once; they come back in the order of their names as `target` has them."""
    for name in world.territory.nodes:
        inject(world, "kill", name)
    for voter in world.etcd.voters:
        voter.kill()


def _everything_on(world: FailoverWorld, target: str) -> None:
    for name in target.split():
        if name in VOTERS:
            _start(world.voter(name))
        heal(world, "kill", name)


def _move(world: FailoverWorld, name: str) -> None:
    """As planned; another fault may keep it from that, and then it stays where it is."""
    world.tell("operator", 0, "handover", to=name)
    world.node(name).cli("failover", "move", world.service, name, "--timeout", MOVE_WITHIN_SECONDS, check=False)


def _promote(world: FailoverWorld, name: str) -> None:
    """Elsewhere than at its home, which may well be alive; it can be refused, where that node holds it by now."""
    world.tell("operator", 0, "proof-of-death", of=world.candidates[0], kind="act")
    act = world.sign("promote", name, world.service)
    world.node(name).cli("failover", "promote", world.service, "--act", str(act), check=False)


def _quarantine(world: FailoverWorld, name: str, *, ends: bool = False) -> None:
    """Typed at a node that never serves it, of which the others hear."""
    act = world.sign("quarantine", name, ANY_SERVICE, ends=ends)
    world.node(VOTERS[-1]).cli("failover", "quarantine", name, "--act", str(act))


def _signers(world: FailoverWorld) -> tuple[str, ...]:
    return world.candidates if world.operator_key else ()


def _orders(world: FailoverWorld) -> tuple[str, ...]:
    return tuple(" ".join(order) for order in itertools.permutations(world.territory.nodes))


def _on_lines(world: FailoverWorld) -> tuple[str, ...]:
    """None where there are no lines to cut; else candidates and voters."""
    return tuple(dict.fromkeys((*world.candidates, *VOTERS))) if world.network else ()


def _pairs(world: FailoverWorld) -> tuple[str, ...]:
    return tuple(" ".join(pair) for pair in itertools.combinations(_on_lines(world), 2))


def _with_clocks(world: FailoverWorld) -> tuple[str, ...]:
    return tuple(name for name in dict.fromkeys((*world.candidates, *VOTERS)) if name in world.clocks)


def _set_off(seconds: int) -> Fault:
    """The clock on the wall of a node; no decision may depend on it."""
    return Fault(_with_clocks, lambda world, name: world.clocks[name].set_off(seconds), _set_right)


def _set_right(world: FailoverWorld, name: str) -> None:
    world.clocks[name].set_off(0)


def _with_disks(world: FailoverWorld) -> tuple[str, ...]:
    return tuple(world.disks)


def _candidates(world: FailoverWorld) -> tuple[str, ...]:
    return world.candidates


def _voters(world: FailoverWorld) -> tuple[str, ...]:
    return VOTERS


def possible(world: FailoverWorld) -> tuple[str, ...]:
    """The faults that can be made to happen here."""
    return tuple(sorted(kind for kind, fault in FAULTS.items() if fault.targets(world)))


DYING_SECONDS_MAX = 0.1
"""A process that was killed a moment ago is still there for less."""
LOST_PERCENT = 20
DELAY_SECONDS = 0.3
"""Each way: a line by satellite."""
MOVE_WITHIN_SECONDS = "20"
FAULTS: Mapping[str, Fault] = {
    "kill": Fault(_candidates, _kill, lambda world, name: world.start(name)),
    "freeze": Fault(_candidates, _freeze, _thaw),
    "hang": Fault(
        _candidates,
        _hang_agent,
        lambda world, name: world.agent(name).send_signal(signal.SIGCONT),
    ),
    "agent-crash": Fault(_candidates, _crash_agent, lambda world, name: world.node(name).start_failover()),
    "service-crash": Fault(_candidates, _crash_service, _nothing),
    "voter": Fault(
        _voters,
        lambda world, name: world.voter(name).kill(),
        lambda world, name: _start(world.voter(name)),
    ),
    "cut": _cut(),
    "cut-out": _cut(into=False),
    "cut-in": _cut(out=False),
    "loss": Fault(_on_lines, _lose_packets, _mend("loss")),
    "delay": Fault(_on_lines, _delay, _hasten),
    "line": Fault(_pairs, _cut_line, _mend("line")),
    "clock-ahead": _set_off(HOUR),
    "clock-behind": _set_off(-HOUR),
    "clock-days-ahead": _set_off(2 * DAY),
    "disk-full": Fault(
        _with_disks,
        lambda world, name: world.disks[name].fill(),
        lambda world, name: world.disks[name].empty(),
    ),
    "everything": Fault(_orders, _everything_off, _everything_on, alone=True),
    "move": Fault(_candidates, _move, _nothing),
    "promote": Fault(lambda world: _signers(world)[1:], _promote, _nothing),
    "quarantine": Fault(_signers, _quarantine, partial(_quarantine, ends=True)),
    "quorum": Fault(lambda world: ("voters",), _lose_quorum, _regain_quorum),
}
