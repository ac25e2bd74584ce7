"""The decisions on a lab, and why, from what was seen of it. Pure: `--dry-run` prints the same values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from appliance_lab.hosts.faults import HEALED, Fault, by_what
from appliance_lab.hosts.plan import Node, Plan


@dataclass(frozen=True)
class Decision:
    """The thing that happens to `about`: a node, a link, or a part of the lab."""

    about: str
    does: str
    reason: str

    def __str__(self) -> str:
        return f"{self.about}: {self.does} ({self.reason})."


@dataclass(frozen=True)
class Seen:
    """A lab as it was found: nodes that run, nodes that have a disk, namespaces; `others` are labs beside it."""

    on: frozenset[str] = frozenset()
    with_disk: frozenset[str] = frozenset()
    namespaces: frozenset[str] = frozenset()
    base: bool = False
    others: frozenset[str] = frozenset()
    faults: Mapping[str, Fault] = field(default_factory=dict)


def decide_up(plan: Plan, seen: Seen) -> tuple[Decision, ...]:
    """Make what is missing, switch on what is off, leave what runs."""
    found = []
    if not seen.base:
        found.append(Decision("base image", "is made, about a minute", "this machine has none for its package sources"))
    missing = len(set(plan.namespaces) - seen.namespaces)
    if missing:
        found.append(Decision("network", f"{missing} namespaces are made", "they are not there"))
    found += [decide_power_on(node, seen) for node in plan.nodes]
    kept = (Decision(target, f"stays {fault}", "until it is healed") for target, fault in seen.faults.items())
    return (*found, *kept)


def decide_power_on(node: Node, seen: Seen) -> Decision:
    if node.name in seen.on:
        return Decision(node.name, "is left as it is", "it runs")
    if node.name in seen.with_disk:
        return Decision(node.name, "is switched on", "it is off")
    return Decision(node.name, "is switched on with a new disk", "it has none")


def decide_power_off(node: Node, seen: Seen, *, cut: bool) -> Decision:
    if node.name not in seen.on:
        return Decision(node.name, "is left as it is", "it is off")
    return Decision(node.name, "loses its power" if cut else "is asked to stop", "it runs")


def decide_wipe(node: Node, seen: Seen) -> tuple[Decision, ...]:
    """Whatever it was, it becomes a new box."""
    off = [Decision(node.name, "loses its power", "it runs")] if node.name in seen.on else []
    disk = [Decision(node.name, "loses its disk", "all that is on it")] if node.name in seen.with_disk else []
    return (*off, *disk, Decision(node.name, "is switched on with a new disk", "new host keys, only root SSH"))


def decide_down(seen: Seen) -> tuple[Decision, ...]:
    """Nothing of the lab stays; of the last one, nothing at all but caches."""
    found = [Decision(name, "loses its power", "it runs") for name in sorted(seen.on)]
    found += [Decision(name, "loses its disk", "the lab ends") for name in sorted(seen.with_disk)]
    if seen.namespaces:
        found.append(Decision("network", f"{len(seen.namespaces)} namespaces are taken away", "the lab ends"))
    if not seen.others:
        found.append(Decision("pool", "is closed", "no other lab is there; base and packages stay for the next one"))
    return tuple(found)


def decide_faults(
    known: Mapping[str, Fault], wanted: Mapping[str, Fault], backends: Mapping[str, str]
) -> tuple[Decision, ...]:
    """Return the decisions that take each target from its known fault to the wanted one."""
    return tuple(_decide_fault(target, known.get(target, HEALED), fault, backends) for target, fault in wanted.items())


def _decide_fault(target: str, was: Fault, fault: Fault, backends: Mapping[str, str]) -> Decision:
    if fault == HEALED:
        return Decision(target, "is as it should be", f"it was {was}" if was != HEALED else "no fault was remembered")
    return Decision(target, f"is {fault}", f"by {by_what(fault, backends)}")
