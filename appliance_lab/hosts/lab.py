"""Bring a lab up, say how it is, take it down: each can be repeated, and goes on where an interrupted one stopped."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from appliance.config.load import load
from appliance.errors import ApplianceError
from appliance.host.files import make_private_folder
from appliance.host.network import netns
from appliance_lab.hosts import impair, kernel, machine, needs, network, shared
from appliance_lab.hosts.access import answers, hang_up, write_access
from appliance_lab.hosts.decide import Seen
from appliance_lab.hosts.faults import Fault, remembered
from appliance_lab.hosts.paths import HostPaths, LabPaths
from appliance_lab.hosts.plan import Node, Plan, belongs, make_plan, node_names
from appliance_lab.hosts.pool import BTRFS, Pool
from appliance_lab.hosts.shared import Say as Say
from appliance_lab.hosts.state import State, read_state, write_state

SSH_SECONDS_MAX = 300.0
LOOK_EVERY_SECONDS = 0.05


@dataclass
class Lab:
    """A lab that is up, or was left by a crash."""

    paths: HostPaths
    plan: Plan
    state: State
    say: Say

    @property
    def own(self) -> LabPaths:
        return self.paths.lab(self.plan.lab)

    @property
    def pool(self) -> Pool:
        return Pool(self.paths, self.state.backends["pool"])

    @property
    def faults(self) -> dict[str, Fault]:
        return remembered(self.state.faults)

    @property
    def making(self) -> impair.Making:
        return impair.Making(self.state.backends, self.own.shuttle_log)

    def remember(self, **changes: object) -> None:
        self.state = self.state.with_(**changes)
        write_state(self.own.state, self.state)

    def root(self, node: Node) -> Path:
        return self.pool.root(self.plan.lab, node.name)


def open_lab(paths: HostPaths, name: str, say: Say) -> Lab:
    """The lab `name` as it was last brought up; raise NotFound when there is none."""
    state = read_state(paths.lab(name).state)
    return Lab(paths, make_plan(load(paths.lab(name).root), name), state, say)


@contextlib.contextmanager
def changing(paths: HostPaths, name: str, say: Say = lambda sentence: None) -> Iterator[None]:
    """Only one command at a time changes a lab; the others wait."""
    make_private_folder(paths.lab(name).root)
    with shared.turn(paths.lab(name).lock, f"the lab {name}", say):
        yield


def look(paths: HostPaths, name: str) -> Seen:
    """Return what is there of the lab `name`, whatever is remembered; changes nothing."""
    namespaces = frozenset(it for it in netns.names() if belongs(it, name))
    try:
        state = read_state(paths.lab(name).state)
    except ApplianceError:
        state = None
    return Seen(
        on=node_names(name, machine.running(name)),
        with_disk=frozenset(Pool(paths, BTRFS).with_disk(name)),
        namespaces=namespaces,
        base=shared.has_base(paths),
        others=frozenset(paths.known_labs()) - {name},
        faults=remembered(state.faults) if state else {},
    )


def up(paths: HostPaths, name: str, inventory: Path, say: Say) -> Lab:
    """Boot every node of the territory in `inventory` that does not run, and return when all answer SSH."""
    needs.check_root()
    needs.check_programs()
    plan = make_plan(load(inventory), name)
    found = kernel.probe()
    needs.check_kernel(found)
    make_private_folder(paths.root)
    with changing(paths, name, say):
        state = shared.begin(paths, plan, inventory, kernel.backends(found), say)
        lab = Lab(paths, plan, state, say)
        whole = not state.complete or plan.core not in netns.names()
        lab.remember(complete=False, base=shared.base_image(paths, lab.pool, say))
        network.ensure(plan, state.way, whole=whole)
        (lab.own.root / "console").mkdir(mode=0o700, exist_ok=True)
        for node in plan.nodes:
            power_on(lab, node)
        for target, fault in lab.faults.items():
            if target in plan.targets and (whole or impair.is_dead(plan, target, fault, lab.making)):
                impair.impair(plan, lab.faults, target, lab.making)
        wait_for_ssh(lab, plan.nodes)
        lab.remember(complete=True)
    return lab


def power_on(lab: Lab, node: Node) -> bool:
    """Switch a node on, giving it a disk when it has none, its faults as they are remembered; whether it was off."""
    if machine.is_on(node):
        return False
    if not lab.pool.has_disk(lab.plan.lab, node.name):
        _make_disk(lab, node)
    lab.pool.attach(_base_of(lab), lab.plan.lab, node.name)
    network.plug(node, lab.plan.site(node.site))
    if node.name in lab.faults:
        impair.impair(lab.plan, lab.faults, node.name, lab.making)
    machine.switch_on(node, lab.root(node), lab.own.console(node.name))
    lab.say(f"{node.name} is switched on.")
    return True


def wipe(lab: Lab, node: Node) -> None:
    """Cut the node's power and take its disk: the next power-on is another box with only root SSH."""
    machine.cut_power(node)
    lab.pool.remove(lab.plan.lab, node.name)


def wait_for_ssh(lab: Lab, nodes: tuple[Node, ...]) -> None:
    """Return when all `nodes` answer, their host keys written down; raise ApplianceError naming those that do not.

    A node whose own cable is cut cannot answer, and is not waited for.
    """
    deadline = time.monotonic() + SSH_SECONDS_MAX
    faults = lab.faults
    waiting = [node for node in nodes if node.name not in faults or not faults[node.name].cut]
    while waiting:
        waiting = [node for node in waiting if not answers(lab.plan, node)]
        if not waiting:
            break
        if time.monotonic() > deadline:
            names = ", ".join(node.name for node in waiting)
            raise ApplianceError(
                f"{names}: no answer by SSH within {SSH_SECONDS_MAX:.0f} s.",
                remedy=f"See its console: appliance lab console {waiting[0].name} --name {lab.plan.lab}",
            )
        time.sleep(LOOK_EVERY_SECONDS)
    write_access(lab.own, lab.plan, host_keys(lab))


def host_keys(lab: Lab) -> dict[str, str]:
    """The host key of each node that has made one, read from its disk: nobody between can have changed it."""
    found = {node.name: machine.host_key(lab.root(node)) for node in lab.plan.nodes}
    return {name: key for name, key in found.items() if key is not None}


def down(paths: HostPaths, name: str, say: Say) -> None:
    """Leave nothing of the lab `name`, whatever state it was left in; of the last lab, nothing at all but caches."""
    needs.check_root()
    known = name in paths.known_labs()
    with changing(paths, name, say):
        try:
            state = read_state(paths.lab(name).state)
        except ApplianceError:
            state = None
        shared.end_work(paths.lab(name))
        hang_up(paths.lab(name))
        impair.end_shuttles(name)
        machine.cut_all(name)
        say(f"The nodes of {name} are off." if known else f"No lab is called {name}: what one may have left goes.")
        namespaces = [it for it in netns.names() if belongs(it, name)]
        network.destroy(name, namespaces, state.way if state else None)
        pool = Pool(paths, state.backends["pool"] if state else BTRFS)
        pool.remove_all(name)
        shared.forget(paths, name, pool, say)


def _base_of(lab: Lab) -> Path:
    return lab.paths.pool / "bases" / lab.state.base


def _make_disk(lab: Lab, node: Node) -> None:
    unfinished = lab.pool.prepare(_base_of(lab), lab.plan.lab, node.name)
    key = machine.make_key(lab.own.key, lab.plan.lab)
    machine.prepare(unfinished, node, key, shared.resolver())
    lab.pool.install(_base_of(lab), lab.plan.lab, node.name)
