"""What may happen to nodes in process mode, by name: each fault with its healing, told to the history by its moment.

Lines are cut, clocks set off and disks filled on a stage that has them (`failover.staged`, `disturbed`), and acts are
signed where it has an operator's key; elsewhere these faults have no targets. What operators do counts as a fault, too:
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
from appliance_lab.processes.failover import VOTERS, Stage


@dataclass(frozen=True)
class Fault:
    """`targets`: what it may happen to. Whoever injects it heals it, too. `alone`: no other happens at that time."""

    targets: Callable[[Stage], tuple[str, ...]]
    inject: Callable[[Stage, str], None]
    heal: Callable[[Stage, str], None]
    alone: bool = False


def inject(stage: Stage, kind: str, target: str) -> None:
    """Let it happen; told before, as what follows may be quick."""
    stage.tell("nemesis", 0, "fault", fault=kind, target=target)
    FAULTS[kind].inject(stage, target)


def heal(stage: Stage, kind: str, target: str) -> None:
    """End it; told after, but for a thaw, after which a writer answers at once."""
    thaws = kind == "freeze"
    if not thaws:
        FAULTS[kind].heal(stage, target)
    stage.tell("nemesis", 0, "heal", fault=kind, target=target)
    if thaws:
        FAULTS[kind].heal(stage, target)


def _kill(stage: Stage, name: str) -> None:
    served = stage.program(name).running() is not None
    stage.end(name)
    if served:
        for event in ("address-del", "writer-stop"):
            stage.tell(name, 0, event)


def _freeze(stage: Stage, name: str) -> None:
    _signal_all(stage, name, signal.SIGSTOP)


def _thaw(stage: Stage, name: str) -> None:
    _signal_all(stage, name, signal.SIGCONT)


def _signal_all(stage: Stage, name: str, number: signal.Signals) -> None:
    """The watchdog first: it was started before the program that serves, whose turn is last."""
    for process in stage.node(name).processes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
    if (served := stage.program(name).running()) is not None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(served.pid, number)


def _crash_agent(stage: Stage, name: str) -> None:
    agent = stage.node(name).processes.pop()
    agent.kill()
    agent.wait()
    _tell_if_ended(stage, name)


def _hang_agent(stage: Stage, name: str) -> None:
    stage.agent(name).send_signal(signal.SIGSTOP)
    _tell_if_ended(stage, name)


def _tell_if_ended(stage: Stage, name: str) -> None:
    """Whoever is stopped right after it ended its writer says so too late, or never."""
    served = stage.program(name).running()
    if served is None or served.wait_end(DYING_SECONDS_MAX):
        stage.tell(name, 0, "writer-stop")


def _crash_service(stage: Stage, name: str) -> None:
    if (served := stage.program(name).running()) is not None:
        os.killpg(served.pid, signal.SIGKILL)
        stage.tell(name, 0, "writer-stop")


def _nothing(stage: Stage, name: str) -> None: ...


def _lose_quorum(stage: Stage, name: str) -> None:
    for voter in stage.etcd.voters[1:]:
        voter.kill()


def _regain_quorum(stage: Stage, name: str) -> None:
    for voter in stage.etcd.voters[1:]:
        _start(voter)


def _start(voter: EtcdProcess) -> None:
    """Two faults may have ended it, and both are healed."""
    if voter.ended():
        voter.start()


def _cut(*, out: bool = True, into: bool = True) -> Fault:
    """All lines of a node, in both directions or one."""
    why = f"cut {out} {into}"

    def inject(stage: Stage, name: str) -> None:
        assert stage.network is not None
        stage.network.cut(f"{why} {name}", stage.network.of_node(name, out=out, into=into))

    return Fault(_on_lines, inject, _mend(why))


def _mend(why: str) -> Callable[[Stage, str], None]:
    def heal(stage: Stage, target: str) -> None:
        assert stage.network is not None
        stage.network.mend(f"{why} {target}")

    return heal


def _cut_line(stage: Stage, target: str) -> None:
    """Between two nodes, while all others reach both."""
    assert stage.network is not None
    a, b = target.split()
    stage.network.cut(f"line {target}", {(a, b), (b, a)})


def _lose_packets(stage: Stage, name: str) -> None:
    """Of all that goes to and from a node, so many in a hundred each way."""
    assert stage.network is not None
    stage.network.lose(f"loss {name}", stage.network.of_node(name), LOST_PERCENT)


def _delay(stage: Stage, name: str) -> None:
    assert stage.network is not None
    stage.network.delay(name, DELAY_SECONDS)


def _hasten(stage: Stage, name: str) -> None:
    assert stage.network is not None
    stage.network.hasten(name)


def _everything_off(stage: Stage, target: str) -> None:
    """All nodes and voters lose power at once; they come back in the order of their names as `target` has them."""
    for name in stage.territory.nodes:
        inject(stage, "kill", name)
    for voter in stage.etcd.voters:
        voter.kill()


def _everything_on(stage: Stage, target: str) -> None:
    for name in target.split():
        if name in VOTERS:
            _start(stage.voter(name))
        heal(stage, "kill", name)


def _move(stage: Stage, name: str) -> None:
    """As planned; another fault may keep it from that, and then it stays where it is."""
    stage.tell("operator", 0, "handover", to=name)
    stage.node(name).cli("failover", "move", stage.service, name, "--within", MOVE_WITHIN_SECONDS, check=False)


def _promote(stage: Stage, name: str) -> None:
    """Elsewhere than at its home, which may well be alive; it can be refused, where that node holds it by now."""
    stage.tell("operator", 0, "proof-of-death", of=stage.candidates[0], kind="act")
    act = stage.sign("promote", name, stage.service)
    stage.node(name).cli("failover", "promote", stage.service, "--act", str(act), check=False)


def _quarantine(stage: Stage, name: str, *, ends: bool = False) -> None:
    """Typed at a node that never serves it, of which the others hear."""
    act = stage.sign("quarantine", name, ANY_SERVICE, ends=ends)
    stage.node(VOTERS[-1]).cli("failover", "quarantine", name, "--act", str(act))


def _signers(stage: Stage) -> tuple[str, ...]:
    return stage.candidates if stage.operator_key else ()


def _orders(stage: Stage) -> tuple[str, ...]:
    return tuple(" ".join(order) for order in itertools.permutations(stage.territory.nodes))


def _on_lines(stage: Stage) -> tuple[str, ...]:
    """None where there are no lines to cut; else candidates and voters."""
    return tuple(dict.fromkeys((*stage.candidates, *VOTERS))) if stage.network else ()


def _pairs(stage: Stage) -> tuple[str, ...]:
    return tuple(" ".join(pair) for pair in itertools.combinations(_on_lines(stage), 2))


def _with_clocks(stage: Stage) -> tuple[str, ...]:
    return tuple(name for name in dict.fromkeys((*stage.candidates, *VOTERS)) if name in stage.clocks)


def _set_off(seconds: int) -> Fault:
    """The clock on the wall of a node; no decision may depend on it."""
    return Fault(_with_clocks, lambda stage, name: stage.clocks[name].set_off(seconds), _set_right)


def _set_right(stage: Stage, name: str) -> None:
    stage.clocks[name].set_off(0)


def _with_disks(stage: Stage) -> tuple[str, ...]:
    return tuple(stage.disks)


def _candidates(stage: Stage) -> tuple[str, ...]:
    return stage.candidates


def _voters(stage: Stage) -> tuple[str, ...]:
    return VOTERS


def possible(stage: Stage) -> tuple[str, ...]:
    """The faults that can be made to happen here."""
    return tuple(sorted(kind for kind, fault in FAULTS.items() if fault.targets(stage)))


DYING_SECONDS_MAX = 0.1
"""What was killed a moment ago is still there for less."""
LOST_PERCENT = 20
DELAY_SECONDS = 0.3
"""Each way: a line by satellite."""
MOVE_WITHIN_SECONDS = "20"
FAULTS: Mapping[str, Fault] = {
    "kill": Fault(_candidates, _kill, lambda stage, name: stage.start(name)),
    "freeze": Fault(_candidates, _freeze, _thaw),
    "hang": Fault(
        _candidates,
        _hang_agent,
        lambda stage, name: stage.agent(name).send_signal(signal.SIGCONT),
    ),
    "agent-crash": Fault(_candidates, _crash_agent, lambda stage, name: stage.node(name).start_failover()),
    "service-crash": Fault(_candidates, _crash_service, _nothing),
    "voter": Fault(
        _voters,
        lambda stage, name: stage.voter(name).kill(),
        lambda stage, name: _start(stage.voter(name)),
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
        lambda stage, name: stage.disks[name].fill(),
        lambda stage, name: stage.disks[name].empty(),
    ),
    "everything": Fault(_orders, _everything_off, _everything_on, alone=True),
    "move": Fault(_candidates, _move, _nothing),
    "promote": Fault(lambda stage: _signers(stage)[1:], _promote, _nothing),
    "quarantine": Fault(_signers, _quarantine, partial(_quarantine, ends=True)),
    "quorum": Fault(lambda stage: ("voters",), _lose_quorum, _regain_quorum),
}
