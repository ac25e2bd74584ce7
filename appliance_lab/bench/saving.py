"""How much a backup costs that ends safe at two peers, against `borg create` to each of them and against borgmatic."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from appliance_lab.bench.bench import Bench, in_turns
from appliance_lab.bench.env import BenchEnv
from appliance_lab.bench.figures import Figure, Goal
from appliance_lab.bench.measure import Cost, cost
from appliance_lab.bench.rival import Borgmatic, Rival

SEQUENCE = "two `borg create` in sequence"
AT_ONCE = "two `borg create` at once"
Costs = Mapping[str, list[Cost]]
Legs = Mapping[str, Callable[[], None]]


def first_backup(bench: Bench) -> tuple[Figure, ...]:
    """The first backup of all documents, in a new territory in each run; the last one stays for the other rows."""
    costs: dict[str, list[Cost]] = {}
    for number in bench.runs("first backup"):
        made = bench.set_up_with_rival()
        _measure(costs, number, made.env, {"ours": made.env.back_up, SEQUENCE: made.rival.create_in_sequence})
        bench.kept = made
    return (
        _cpu("first-cpu", "first backup, CPU of all hosts", costs, SEQUENCE, Goal(0.60)),
        _wall("first-wall", "the same, wall", costs, SEQUENCE, None),
    )


def changed(bench: Bench) -> tuple[Figure, ...]:
    """1 % changed since the last backup."""
    saved = bench.saved()
    at_once = Rival(saved.env, "at-once")
    _seed(bench, saved.env, at_once.init, at_once.create_at_once)
    legs: Legs = {
        "ours": saved.env.back_up,
        SEQUENCE: saved.rival.create_in_sequence,
        AT_ONCE: at_once.create_at_once,
    }
    costs = _rounds(bench, "1 % changed", saved.env, legs, before_each=bench.change)
    at_once.wipe()
    return (
        _cpu("changed-cpu", "1 % changed, CPU of all hosts", costs, SEQUENCE, Goal(0.60)),
        _wall("changed-wall", "1 % changed, wall", costs, SEQUENCE, Goal(0.60)),
        _wall("changed-wall-at-once", "1 % changed, wall", costs, AT_ONCE, Goal(0.95)),
    )


def unchanged(bench: Bench) -> tuple[Figure, ...]:
    """Nothing changed since the last backup. We run borg without its self-test, which by default takes 60 ms at each
    start: told beside it is what remains when the rival does so too."""
    saved = bench.saved()
    untested = f"{SEQUENCE}, without self-tests at the origin"
    legs: Legs = {
        "ours": saved.env.back_up,
        SEQUENCE: saved.rival.create_in_sequence,
        untested: partial(saved.rival.create_in_sequence, self_test=False),
    }
    costs = _rounds(bench, "nothing changed", saved.env, legs)
    return (
        _cpu("unchanged-cpu", "nothing changed, CPU of all hosts", costs, SEQUENCE, Goal(0.62)),
        _wall("unchanged-wall", "nothing changed, wall", costs, SEQUENCE, Goal(0.62)),
        _cpu("unchanged-cpu-untested", "nothing changed, CPU of all hosts", costs, untested, None),
    )


def against_borgmatic(bench: Bench) -> tuple[Figure, ...]:
    """1 % changed, borgmatic with two repositories."""
    saved = bench.saved()
    borgmatic = Borgmatic(Rival(saved.env, "borgmatic"))
    _seed(bench, saved.env, borgmatic.init, borgmatic.create)
    name = "borgmatic with two repositories"
    legs: Legs = {"ours": saved.env.back_up, name: borgmatic.create}
    costs = _rounds(bench, "1 % changed, borgmatic", saved.env, legs, before_each=bench.change)
    borgmatic.rival.wipe()
    return (
        _wall("borgmatic-wall", "1 % changed, wall", costs, name, Goal(0.60)),
        _cpu("borgmatic-cpu", "1 % changed, CPU of all hosts", costs, name, None),
    )


def _seed(bench: Bench, env: BenchEnv, init: Callable[[], None], create: Callable[[], None]) -> None:
    """The first backup of another rival, and ours brought to where it is, so that both start even."""
    bench.say("a first backup of another rival, not measured")
    with env.listening():
        init()
        create()
        env.back_up()


def _rounds(
    bench: Bench, what: str, env: BenchEnv, legs: Legs, before_each: Callable[[], None] = lambda: None
) -> Costs:
    costs: dict[str, list[Cost]] = {}
    for number in bench.runs(what):
        before_each()
        _measure(costs, number, env, legs)
    return costs


def _measure(costs: dict[str, list[Cost]], number: int, env: BenchEnv, legs: Legs) -> None:
    """One round: every leg, and what the hosts cost when nothing is asked of them."""
    round_ = dict(in_turns(number, {name: partial(cost, env.peers, leg) for name, leg in legs.items()}))
    idle = cost(env.peers, lambda: None)
    for name, found in round_.items():
        costs.setdefault(name, []).append(found.less(idle))


def _cpu(name: str, title: str, costs: Costs, rival: str, goal: Goal | None) -> Figure:
    return _figure(
        name, title, "CPU s", [[it.cpu_seconds for it in costs[leg]] for leg in ("ours", rival)], rival, goal
    )


def _wall(name: str, title: str, costs: Costs, rival: str, goal: Goal | None) -> Figure:
    return _figure(name, title, "s", [[it.wall_seconds for it in costs[leg]] for leg in ("ours", rival)], rival, goal)


def _figure(
    name: str, title: str, unit: str, seconds: Sequence[Sequence[float]], rival: str, goal: Goal | None
) -> Figure:
    ours, theirs = seconds
    return Figure(name, title, unit, tuple(ours), tuple(theirs), rival, goal)
