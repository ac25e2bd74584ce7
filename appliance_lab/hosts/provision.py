"""Make the nodes of a lab what its territory says, as a maintenance team and the holder of the territory's key do.

Each step is what a person would type; where a person reads a fingerprint from a screen, it is read from the node's
disk, which nobody between can have changed. Called again it does what is still to be done: a second call plays `site`
once, which changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from appliance.config.load import load
from appliance.errors import ApplianceError, NotFound
from appliance.host.command import Result, run
from appliance.host.files import write_atomic
from appliance.host.network import known_hosts, netns
from appliance.territory.implicit import is_implicit
from appliance.territory.model import Territory
from appliance.trust.signed import fingerprint
from appliance.units import MIB
from appliance_lab.checkout import appliance_argv, code_folder
from appliance_lab.corpus import generate
from appliance_lab.hosts.authority import make_authority
from appliance_lab.hosts.control_machine import ControlMachine, names, set_up
from appliance_lab.hosts.lab import Lab, host_keys
from appliance_lab.hosts.needs import check_mesh
from appliance_lab.hosts.plan import Node
from appliance_lab.hosts.playbook import Played, play_well

COMMAND_SECONDS_MAX = 300.0
DOCUMENTS_BYTES, DOCUMENTS_FILES = 20 * MIB, 400


def provision(lab: Lab) -> tuple[ControlMachine, tuple[Played, ...]]:
    """Bare nodes to a finished `site`, or what is missing to that; return the desk and the playbooks that were run."""
    control = begin(lab)
    played = [_play(lab, control, "site" if control.bundle.exists() else "bootstrap")]
    if sign(lab, control):
        played.append(_play(lab, control, "site"))
    if control.unanswered:
        put_documents(lab)  # into folders that are there by now, and before the first backup
    if grant(lab, control):
        played.append(_play(lab, control, "site", "--tags", "backup"))
    return control, tuple(played)


def begin(lab: Lab) -> ControlMachine:
    """Make our package and the control folder, and meet every node that was not met yet.

    Raise Unsupported, before anything is made, when the territory has a mesh and this kernel can make none.
    """
    if any(node.mesh for node in load(lab.own.root).nodes.values()):
        check_mesh(lab.state.backends)
    lab.say("Our package is made from this checkout, where it changed.")
    control = set_up(lab, make_package(ControlMachine(lab.own.root)))
    make_authority(control)
    for node in lab.plan.nodes:
        meet(lab, control, node)
    return control


def make_package(control: ControlMachine, version: str = "trial") -> Path:
    """Our package from this checkout, in the folder of the lab; raise NotFound where we are installed from one."""
    script = code_folder() / "scripts/deb"
    if not script.exists():
        raise NotFound("a lab is provisioned from a checkout, and this is none.", where=str(code_folder()))
    argv = (str(script), version, str(control.root / "packages"))
    return Path(run(argv, timeout_seconds=COMMAND_SECONDS_MAX, check=True).stdout.decode().split()[-1])


def meet(lab: Lab, control: ControlMachine, node: Node, name: str = "") -> bool:
    """Meet `node` by the fingerprint on its own disk, unless that very machine was met; whether it was new.

    `name`: what the territory calls it, where that is not the lab's own name for it.
    """
    key, name = host_keys(lab)[node.name], name or node.name
    met = known_hosts.read(control.inventory / known_hosts.FILE_NAME).get(name)
    if met == key:
        return False
    words = ("--fingerprint", fingerprint(key), "--territory", str(control.inventory), "--identity", str(lab.own.key))
    again = ("--replace",) if met else ()
    # The lab's addresses exist in its own network only.
    argv = netns.inside(lab.plan.core, (*appliance_argv(), "node", "trust-host-key", name, *words, *again))
    _run(argv)
    lab.say(f"{name} is met by its fingerprint, {fingerprint(key)}.")
    return True


def sign(lab: Lab, control: ControlMachine) -> bool:
    """Sign collected keys, as the holder of the territory's key does; return whether there was anything new to sign."""
    wanted = control.to_sign()
    if control.signed.exists() and control.signed.read_text() == wanted:
        return False
    words = ["territory", "sign", str(control.inventory), "--keys", str(control.inventory / "keys")]
    words += ["--key", str(control.territory_key), "--out", str(control.bundle)]
    words += ["--previous", str(control.bundle)] if control.bundle.exists() else []
    _run((*appliance_argv(), *words), good=(0, 1))
    write_atomic(control.signed, wanted.encode())
    lab.say(f"The territory's key signed for the keys of {names(control.keys)}.")
    return True


def grant(lab: Lab, control: ControlMachine) -> bool:
    """Answer requests for grants, as that holder does; return whether there was one without an answer."""
    asked = control.unanswered
    if asked:
        grants = control.inventory / "grants"
        words = ("--bundle", str(control.bundle), "--key", str(control.territory_key), "--out", str(grants), "--yes")
        _run((*appliance_argv(), "territory", "grant", *map(str, asked), *words))
        lab.say(f"The territory's key granted {names(asked)}.")
    return bool(asked)


def put_documents(lab: Lab) -> None:
    """Something to back up, where a service of files has nothing yet; the control folder is put there by its role."""
    territory = load(lab.own.root)
    for node, folder in folders_of(territory):
        if "control" in territory.node(node).roles:
            continue
        place = lab.root(lab.plan.node(node)) / folder.lstrip("/")
        if not place.exists() or not any(place.iterdir()):
            generate(place, DOCUMENTS_BYTES, DOCUMENTS_FILES, seed=len(node))


def folders_of(territory: Territory) -> list[tuple[str, str]]:
    """Every folder that a service of files saves, with its node."""
    files = (it for it in territory.services.values() if it.kind == "files" and not is_implicit(it))
    return [(it.node, path) for it in files for path in it.paths]


def _play(lab: Lab, control: ControlMachine, name: str, *words: str) -> Played:
    lab.say(f"{name} runs; tail -f {control.root / name}.log shows how far it is.")
    played = play_well(control, name, *words)
    lab.say(f"{name}: {played.changed} changes in {played.seconds:.0f} s.")
    for node in lab.plan.nodes:
        lab.pool.keep_packages(lab.plan.lab, node.name)
    return played


def _run(argv: Sequence[str], good: tuple[int, ...] = (0,)) -> Result:
    result = run(argv, timeout_seconds=COMMAND_SECONDS_MAX, env={"PYTHONPATH": str(code_folder())})
    if result.exit_code not in good:
        raise ApplianceError(f"{' '.join(argv[-3:])}: {result.tail()}")
    return result
