"""Bring faults into a lab and take them out: decide, remember, make; out again: make, then forget.

In this order a fault in force is always remembered, wherever a crash comes, and `heal` finds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from appliance_lab.hosts import kernel
from appliance_lab.hosts.access import write_access
from appliance_lab.hosts.decide import Decision, decide_faults
from appliance_lab.hosts.faults import HEALED, Fault, check_supported, targets, to_remember
from appliance_lab.hosts.impair import impair, is_dead
from appliance_lab.hosts.lab import Lab, host_keys


def chosen(lab: Lab, texts: Iterable[str]) -> tuple[str, ...]:
    """The targets that `texts` name, each once; raise NotFound or UsageError for what is none."""
    return tuple(dict.fromkeys(target for text in texts for target in targets(lab.plan, text)))


def backends(lab: Lab) -> Mapping[str, str]:
    """Return the backends that the lab uses; tried out for one that was brought up before this was remembered."""
    known = lab.state.backends
    return known if "delay" in known else {**kernel.backends(kernel.probe()), **known}


def decide(lab: Lab, wanted: Mapping[str, Fault]) -> tuple[Decision, ...]:
    """Return what is to be done so that each target is as `wanted`; raise Unsupported, nothing done, when one cannot
    be."""
    offered = backends(lab)
    for target, fault in wanted.items():
        check_supported(target, fault, offered)
    return decide_faults(lab.faults, wanted, offered)


def disturb(lab: Lab, wanted: Mapping[str, Fault]) -> None:
    """Make each target as `wanted`, which was decided on."""
    known = lab.faults
    begun = {target: fault for target, fault in wanted.items() if fault != HEALED}
    lab.remember(faults=to_remember({**known, **begun}), backends=backends(lab))
    then = {**known, **wanted}
    for target in wanted:
        impair(lab.plan, then, target, lab.making)
    lab.remember(faults=to_remember(then))
    # A node that was made behind a pulled cable could not be met: its host key is known from its disk.
    write_access(lab.own, lab.plan, host_keys(lab))


def dead(lab: Lab) -> frozenset[str]:
    """The targets through which nothing passes since the router in user space that delays them has ended."""
    if "delay" not in lab.state.backends:
        return frozenset()
    return frozenset(target for target, fault in lab.faults.items() if is_dead(lab.plan, target, fault, lab.making))
