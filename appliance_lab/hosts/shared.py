"""The common parts of the labs of this machine: base image, pool, forwarding; and the turn that each command waits
for."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from appliance.config.load import territory_file
from appliance.errors import ApplianceError, Busy, NotFound
from appliance.host.command import descendants
from appliance.host.files import locked, make_private_folder, write_atomic
from appliance.host.processes import Process, process, processes_given
from appliance_lab.hosts import base, network
from appliance_lab.hosts.paths import HostPaths, LabPaths
from appliance_lab.hosts.plan import Plan
from appliance_lab.hosts.pool import Pool
from appliance_lab.hosts.state import State, read_state, write_state

WAIT_SECONDS_MAX = 3600.0  # another command may be making the base image or provisioning
LOOK_EVERY_SECONDS = 0.05
END_SECONDS_MAX = 5.0
REMOVE_SECONDS_MAX = 10.0
type Say = Callable[[str], None]


@contextlib.contextmanager
def turn(lock: Path, what: str, say: Say) -> Iterator[None]:
    """Hold `lock`, waiting for others; raise Busy when they take too long."""
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    with contextlib.ExitStack() as held:
        told = False
        while True:
            try:
                held.enter_context(locked(lock, what=what))
                break
            except Busy:
                if time.monotonic() > deadline:
                    raise
                if not told:
                    say(f"Waiting for another command that uses {what}.")
                    told = True
                time.sleep(LOOK_EVERY_SECONDS)
        yield


def shared(paths: HostPaths, say: Say) -> contextlib.AbstractContextManager[None]:
    """The turn of who changes what labs share."""
    return turn(paths.lock, "the folder of labs", say)


def begin(paths: HostPaths, plan: Plan, inventory: Path, backends: dict[str, str], say: Say) -> State:
    """The state of a lab as it is remembered, or a new one; its territory is kept as it is now, the pool is open."""
    own = paths.lab(plan.lab)
    with shared(paths, say):
        try:
            # Disks that are there stay where they are: the pool of a lab never changes under it.
            state = read_state(own.state)
            state = state.with_(backends={**backends, "pool": state.backends["pool"]})
        except ApplianceError:
            taken = [read_state(paths.lab(other).state).uplink for other in paths.known_labs() if other != plan.lab]
            uplink = network.free_uplink(taken, network.routes())
            state = State(plan.lab, str(inventory.resolve()), uplink.number, backends=backends)
        write_state(own.state, state)
        write_atomic(own.root / "territory.yml", territory_file(inventory).read_bytes(), mode=0o600)
        _forward(paths)
        Pool(paths, state.backends["pool"]).open()
    return state


def base_image(paths: HostPaths, pool: Pool, say: Say) -> str:
    """The identity of the base that new nodes are made from; it is made when nobody has needed it before."""
    inputs = base.read_inputs()
    with shared(paths, say):
        image = make_private_folder(paths.bases) / f"{inputs.identity}.tar"
        if not image.exists():
            say("Making the base image: about a minute, once.")
            base.make(inputs, image, lambda line: None)
        pool.unpack(image, inputs.identity)
    return inputs.identity


def has_base(paths: HostPaths) -> bool:
    """Whether the base image of this machine's package sources is there already."""
    try:
        return (paths.bases / f"{base.read_inputs().identity}.tar").exists()
    except NotFound:
        return False


def resolver() -> str:
    """This machine's resolvers as nodes can reach them: systemd-resolved answers on a loopback address only."""
    direct = Path("/run/systemd/resolve/resolv.conf")
    return (direct if direct.exists() else Path("/etc/resolv.conf")).read_text()


def end_work(own: LabPaths) -> None:
    """End playbooks and builds that outlived the command that started them: they still write into the lab's folder."""
    words = {str(folder) for folder in own.written_by_programs}
    found = [it for it in processes_given(words) if it.pid != os.getpid()]
    below = [it for one in found for pid in descendants(one.pid) if (it := process(pid)) is not None]
    for it in found:
        it.signal(signal.SIGTERM)
    _wait_for(found)
    for it in (*found, *below):
        it.end()


def _wait_for(found: Sequence[Process]) -> None:
    deadline = time.monotonic() + END_SECONDS_MAX
    for it in found:
        it.wait_end(max(0.0, deadline - time.monotonic()))


def _remove(folder: Path) -> None:
    """Remove `folder`, also while something still writes there for a moment; raise ApplianceError when it goes on."""
    deadline = time.monotonic() + REMOVE_SECONDS_MAX
    while folder.exists():
        shutil.rmtree(folder, ignore_errors=True)
        if time.monotonic() > deadline:
            raise ApplianceError(
                "a program still writes into the folder of the lab.",
                where=str(folder),
                remedy="End it, then run this again; fuser or lsof name it.",
            )
        time.sleep(LOOK_EVERY_SECONDS)


def forget(paths: HostPaths, name: str, pool: Pool, say: Say) -> None:
    """Forget the lab; with the last one, close the pool and give the machine its forwarding back."""
    with shared(paths, say):
        _remove(paths.lab(name).root)
        if not paths.known_labs():
            base.sweep(paths.bases)
            pool.close()
            if paths.forwarding.exists():
                network.FORWARD.write_text(paths.forwarding.read_text())
                paths.forwarding.unlink()


def _forward(paths: HostPaths) -> None:
    if not paths.forwarding.exists():
        write_atomic(paths.forwarding, network.FORWARD.read_bytes(), mode=0o600)
    network.FORWARD.write_text("1")
