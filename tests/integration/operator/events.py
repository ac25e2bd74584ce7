"""Events of a town, by name: each is what the world does, and the first line that the pages tell the person to type;
all that follows must be printed.

Some events cannot happen between processes as they are set up here; `ELSEWHERE` says where they are played.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from appliance.units import MIB
from appliance_lab.processes.node import ProcessNode
from tests.integration.operator.obeying import Operator
from tests.integration.operator.printed import KEY_HOLDER, Proposal
from tests.integration.operator.town import QUOTA, SERVICE, SIGN, SMALL, Town, a_port
from tests.waiting import wait_until

ELSEWHERE: Mapping[str, str] = {
    "a voter is replaced": "no voters run here: tests/stories/test_year_story.py, on hosts",
    "a zone is evacuated": "no voters run here: tests/integration/lab, on hosts",
    "a standby is lost": "an answer within minutes of the act ends nothing: tests/unit/backup/test_heard_again.py",
    "an upgrade": "there is one version of the code: tests/stories/test_year_story.py, on hosts",
}
REVOKE = ("appliance", "node", "revoke")


@dataclass(frozen=True)
class Event:
    """`targets`: where it may happen now; `happen` lets it happen and does what begins the mend."""

    targets: Callable[[Town], list[str]]
    happen: Callable[[Town, Operator, str, Random], None]


def a_box_restarts(town: Town, operator: Operator, name: str, draw: Random) -> None:
    """The power fails, and comes back."""
    town.nodes[name].kill()
    _switch_on(town.nodes[name])


def _switch_on(node: ProcessNode) -> None:
    """One that stands there since a theft or a fire in the same night, without a bundle yet, has nothing to start."""
    if _is_set_up(node):
        node.start_sshd()
        node.start_agent()


def _is_set_up(node: ProcessNode) -> bool:
    return node.layout.bundle.exists() and node.layout.run.is_dir()


def the_power_fails(town: Town, operator: Operator, name: str, draw: Random) -> None:
    """It fails in the whole valley, and the box `name` is up first."""
    for node in town.nodes.values():
        node.kill()
    for each in sorted(town.nodes, key=lambda it: it != name):
        _switch_on(town.nodes[each])


def a_line_is_cut(town: Town, operator: Operator, name: str, draw: Random) -> None:
    """Nobody reaches `name` while the others go on; its own agent does not know."""
    node = town.nodes[name]
    node.kill()
    if _is_set_up(node):
        node.start_agent()
    for service, origin in town.origins().items():
        town.write_an_act(service)
        town.run_at(origin, "backup", "run", service)
    node.kill()
    _switch_on(node)


def a_box_is_stolen(town: Town, operator: Operator, name: str, draw: Random) -> None:
    """The key holder takes its keys back, and another box stands in its place; its documents went with it."""
    gone = town.take_away(name)
    operator.begin(Proposal(KEY_HOLDER, (*REVOKE, name, "--reason", "stolen", "--key", "territory")))
    gone.wipe()
    town.lose_documents(name)
    town.put_up(name, gone.port)


def the_control_machine_is_rebuilt(town: Town, operator: Operator, name: str, draw: Random) -> None:
    """It lost what it had collected; the plan, the bundle and the key holder's own files are kept elsewhere."""
    shutil.rmtree(town.folder / "keys", ignore_errors=True)  # rebuilt twice in a night, it has none
    for file in (*town.folder.glob("*.request"), *town.folder.glob("*.grant")):
        file.unlink()
    operator.begin(Proposal(KEY_HOLDER, SIGN))


def a_disk_is_wiped(town: Town, operator: Operator, name: str, draw: Random) -> None:
    """All that was on the disk is gone, the documents too; a new one is in the same place."""
    gone = town.take_away(name)
    gone.wipe()
    town.lose_documents(name)
    town.put_up(name, gone.port)


def a_node_joins(town: Town, operator: Operator, name: str, draw: Random) -> None:
    """Another town hall, with documents of its own."""
    port, service = a_port(), f"docs-{name.removeprefix('commune-')}"
    folder = town.root / "srv" / service
    folder.mkdir(parents=True)
    (folder / "acte-0").write_text("acte 0")

    def joins(plan: Any) -> None:
        box = {"name": name, "address": "127.0.0.1", "port": port, "offered": "5G"}
        plan["zones"][name] = {"kind": "power", "title": name}
        plan["sites"][name] = {"title": name, "zones": [name], "nodes": [box]}
        first = plan["services"][SERVICE]
        plan["services"][service] = {**first, **SMALL, "title": service, "node": name, "paths": [str(folder)]}

    town.change_plan(joins)
    town.put_up(name, port)


def a_node_leaves(town: Town, operator: Operator, name: str, draw: Random) -> None:
    """It gives its copies to others first, as the page on leaving says."""

    def gives_its_place(plan: Any) -> None:
        _box(plan, name)["offered"] = 0

    town.change_plan(gives_its_place)
    operator.begin(Proposal(KEY_HOLDER, SIGN))
    wait_until(lambda: _may_leave(town, name), f"{name} may leave")

    def goes(plan: Any) -> None:
        plan["sites"] = {it: site for it, site in plan["sites"].items() if site["nodes"][0]["name"] != name}

    town.change_plan(goes)
    town.take_away(name)
    (town.folder / "keys" / f"{name}.json").unlink(missing_ok=True)  # a rebuilt control machine has none
    operator.begin(Proposal(KEY_HOLDER, SIGN))


def _may_leave(town: Town, name: str) -> bool:
    for it in town.nodes:
        if it != name:
            town.run_at(it, "vault", "exchange")  # as `node leave` prints
    listed = [town.run_at(it, "--json", "vault", "list").out for it in town.nodes if it != name]
    (town.folder / "others.json").write_text("\n".join(listed))
    return town.run_at(name, "node", "leave", "--others", "others.json").code == 0


def a_key_is_rotated(town: Town, operator: Operator, name: str, draw: Random) -> None:
    line = ("appliance", "internal", "node", "rotate", draw.choice(("ssh", "mesh", "tls")))
    operator.begin(Proposal(name, line))


def a_quota_is_full(town: Town, operator: Operator, name: str, draw: Random) -> None:
    """A town hall stores more than was expected."""
    service = next(it for it, origin in town.origins().items() if origin == name)
    (town.documents(service) / f"plans-{town.acts}").write_bytes(draw.randbytes(int(QUOTA.removesuffix("M")) * MIB))
    town.run_at(name, "backup", "run", service)


def _box(plan: Any, name: str) -> Any:
    return next(it for site in plan["sites"].values() for it in site["nodes"] if it["name"] == name)


def everywhere(town: Town) -> list[str]:
    return list(town.nodes)


def _who_may_be_lost(town: Town) -> list[str]:
    return [it for it in town.nodes if town.may_lose(it)]


def _who_may_leave(town: Town) -> list[str]:
    """Without services of its own, nobody's standby, and enough others to keep what it keeps."""
    bound = {*town.origins().values(), *town.standbys()}
    return [it for it in town.nodes if it not in bound] if len(town.nodes) > 3 else []


def _who_joins(town: Town) -> list[str]:
    return [f"commune-{letter}" for letter in "def" if f"commune-{letter}" not in town.plan["sites"]][:1]


EVENTS: Mapping[str, Event] = {
    "a box restarts": Event(everywhere, a_box_restarts),
    "the power fails": Event(everywhere, the_power_fails),
    "a line is cut": Event(everywhere, a_line_is_cut),
    "a box is stolen": Event(_who_may_be_lost, a_box_is_stolen),
    "the control machine is rebuilt": Event(lambda town: ["the desk"], the_control_machine_is_rebuilt),
    "a disk is wiped": Event(_who_may_be_lost, a_disk_is_wiped),
    "a node joins": Event(_who_joins, a_node_joins),
    "a node leaves": Event(_who_may_leave, a_node_leaves),
    "a key is rotated": Event(everywhere, a_key_is_rotated),
    "a quota is full": Event(lambda town: sorted(set(town.origins().values())), a_quota_is_full),
}
