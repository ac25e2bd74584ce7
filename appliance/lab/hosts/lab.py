"""Bring a lab up, say how it is, take it down: each can be repeated, and goes on where an interrupted one stopped."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from appliance.config.load import load, territory_file
from appliance.errors import ApplianceError
from appliance.host import netns
from appliance.host.files import locked, make_private_folder, write_atomic
from appliance.lab.hosts import base, machine, network
from appliance.lab.hosts.access import answers, hang_up, write_access
from appliance.lab.hosts.places import LabPlaces, Places
from appliance.lab.hosts.plan import Node, Plan, belongs, make_plan
from appliance.lab.hosts.pool import BTRFS, Pool
from appliance.lab.hosts.state import State, read_state, write_state

SSH_SECONDS_MAX = 60.0
LOOK_EVERY_SECONDS = 0.05
type Say = Callable[[str], None]


@dataclass
class Lab:
    """A lab that is up, or was left by a crash."""

    places: Places
    plan: Plan
    state: State
    say: Say

    @property
    def own(self) -> LabPlaces:
        return self.places.lab(self.plan.lab)

    @property
    def pool(self) -> Pool:
        return Pool(self.places, self.state.backends["pool"])

    def remember(self, **changes: object) -> None:
        self.state = self.state.with_(**changes)
        write_state(self.own.state, self.state)

    def root(self, node: Node) -> Path:
        return self.pool.root(self.plan.lab, node.name)


def open_lab(places: Places, name: str, say: Say) -> Lab:
    """The lab `name` as it was last brought up; raise NotFound when there is none."""
    state = read_state(places.lab(name).state)
    return Lab(places, make_plan(load(places.lab(name).root), name), state, say)


@contextlib.contextmanager
def changing(places: Places, name: str) -> Iterator[None]:
    """Only one command at a time changes a lab; the others wait."""
    make_private_folder(places.lab(name).root)
    with locked(places.lab(name).lock, what=f"the lab {name}", wait=True):
        yield


def up(places: Places, name: str, inventory: Path, say: Say) -> Lab:
    """Boot every node of the territory in `inventory` that does not run, and return when all answer SSH."""
    plan = make_plan(load(inventory), name)
    make_private_folder(places.root)
    with changing(places, name):
        lab = _begin(places, plan, inventory, say)
        identity = _base(lab)
        whole = not lab.state.complete
        lab.remember(complete=False, base=identity)
        network.ensure(plan, lab.state.way, whole=whole)
        (lab.own.root / "console").mkdir(mode=0o700, exist_ok=True)
        for node in plan.nodes:
            power_on(lab, node)
        wait_for_ssh(lab, plan.nodes)
        lab.remember(complete=True)
    return lab


def power_on(lab: Lab, node: Node) -> bool:
    """Switch a node on, giving it a disk when it has none; whether it was off."""
    if machine.is_on(node):
        return False
    if not lab.pool.born(lab.plan.lab, node.name):
        _birth(lab, node)
    lab.pool.attach(_base_of(lab), lab.plan.lab, node.name)
    network.plug(node, lab.plan.site(node.site))
    machine.switch_on(node, lab.root(node), lab.own.console(node.name))
    lab.say(f"{node.name} is switched on.")
    return True


def wipe(lab: Lab, node: Node) -> None:
    """Cut the node's power and take its disk: the next power-on is another box with only root SSH."""
    machine.cut_power(node)
    lab.pool.bury(lab.plan.lab, node.name)


def wait_for_ssh(lab: Lab, nodes: tuple[Node, ...]) -> None:
    """Return when all `nodes` answer, their host keys written down; raise ApplianceError naming those that do not."""
    deadline = time.monotonic() + SSH_SECONDS_MAX
    waiting = list(nodes)
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


def down(places: Places, name: str, say: Say) -> None:
    """Leave nothing of the lab `name`, whatever state it was left in; of the last lab, nothing at all but caches."""
    with changing(places, name):
        try:
            state = read_state(places.lab(name).state)
        except ApplianceError:
            state = None
        hang_up(places.lab(name))
        machine.cut_all(name)
        say(f"The nodes of {name} are off.")
        namespaces = [it for it in netns.names() if belongs(it, name)]
        network.destroy(name, namespaces, state.way if state else None)
        pool = Pool(places, state.backends["pool"] if state else BTRFS)
        for node in pool.buried(name):
            pool.bury(name, node)
        _forget(places, name, pool)


def _begin(places: Places, plan: Plan, inventory: Path, say: Say) -> Lab:
    """The lab as it is remembered, or a new one; its territory is kept as it is now."""
    own = places.lab(plan.lab)
    with locked(places.lock, what="the folder of labs", wait=True):
        try:
            state = read_state(own.state)
        except ApplianceError:
            taken = [read_state(places.lab(other).state).uplink for other in places.known_labs() if other != plan.lab]
            uplink = network.free_uplink(taken, network.routes())
            state = State(plan.lab, str(inventory.resolve()), uplink.number, backends={"pool": BTRFS})
        lab = Lab(places, plan, state, say)
        write_state(own.state, state)
        write_atomic(own.root / "territory.yml", territory_file(inventory).read_bytes(), mode=0o600)
        _forward(places)
        lab.pool.open()
    return lab


def _base(lab: Lab) -> str:
    """The identity of the base that new nodes are made from; it is made when nobody has needed it before."""
    inputs = base.read_inputs()
    with locked(lab.places.lock, what="the folder of labs", wait=True):
        image = make_private_folder(lab.places.bases) / f"{inputs.identity}.tar"
        if not image.exists():
            lab.say("Making the base image: about a minute, once.")
            base.make(inputs, image, lambda line: None)
        lab.pool.unpack(image, inputs.identity)
    return inputs.identity


def _base_of(lab: Lab) -> Path:
    return lab.places.pool / "bases" / lab.state.base


def _birth(lab: Lab, node: Node) -> None:
    root = lab.pool.give_birth(_base_of(lab), lab.plan.lab, node.name)
    key = machine.make_key(lab.own.key, lab.plan.lab)
    machine.prepare(root, node, key, _resolver())


def _resolver() -> str:
    """This machine's resolvers as nodes can reach them: systemd-resolved answers on a loopback address only."""
    direct = Path("/run/systemd/resolve/resolv.conf")
    return (direct if direct.exists() else Path("/etc/resolv.conf")).read_text()


def _forward(places: Places) -> None:
    if not places.forwarding.exists():
        write_atomic(places.forwarding, network.FORWARD.read_bytes(), mode=0o600)
    network.FORWARD.write_text("1")


def _forget(places: Places, name: str, pool: Pool) -> None:
    """Forget the lab; with the last one, close the pool and give the machine its forwarding back."""
    with locked(places.lock, what="the folder of labs", wait=True):
        shutil.rmtree(places.lab(name).root)
        if not places.known_labs():
            pool.close()
            if places.forwarding.exists():
                network.FORWARD.write_text(places.forwarding.read_text())
                places.forwarding.unlink()
