"""A territory of small boxes that lives through drawn events, and what must hold after each.

It begins settled: four boxes with keys, a service that is safe, agents that look every few seconds. The desk is the
folder of the key holder, as the page on joining by hand lays it out.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import yaml

from appliance.backup.writer import writer
from appliance.config.load import load
from appliance.escrow.age import RecoveryKey, generate
from appliance.node.handle import open_node
from appliance_lab.counters import prove_counters
from appliance_lab.processes.node import ProcessNode, free_ports
from appliance_lab.processes.territory import ProcessTerritory
from tests.integration.cli.typed import ADDRESS, write_plan
from tests.integration.operator.boxes import Boxes, may_start_sshd
from tests.integration.operator.printed import KEY_HOLDER, QUOTED, Proposal, Said
from tests.waiting import wait_until

SERVICE = "docs-a"
EVERY_SECONDS = 5
"""Between two looks of an agent."""
ENVIRONMENT = {"APPLIANCE_AGENT_EVERY": str(EVERY_SECONDS)}
QUOTA, RAISED = "40M", "400M"
SMALL = {"size": "4M", "change_per_day": "100K", "quota": QUOTA}
SIGN = ("appliance", "territory", "sign", ".", "--key", "territory", "--previous", "bundle", "--out", "bundle")
"""The line of the pages that the key holder types after a change of territory.yml."""


MISSING = "if files of before are missing"
LOST = "If its files were lost"
"""The conditions that a person can judge who looks into the folder of a service."""


class Lost(AssertionError):
    """Something that was acknowledged cannot be brought back."""


class OnDesk(ProcessTerritory):
    @property
    def offline(self) -> Path:
        return self.root / "desk"

    @property
    def territory_key(self) -> Path:
        return self.offline / "territory"


@dataclass
class Town(Boxes):
    """`acknowledged`: the acts that were in the documents of each service, by generation that was called safe."""

    root: Path = Path()
    paper: RecoveryKey = field(default_factory=generate)
    acknowledged: dict[str, dict[str, frozenset[str]]] = field(default_factory=dict)
    happened: list[str] = field(default_factory=list)
    acts: int = 0
    """How many were written so far: each is a small document."""
    copies: dict[str, frozenset[str]] = field(default_factory=dict)
    """The nodes that had a service when the world last was left alone, its origin too; `gone`: who lost it since."""
    gone: set[str] = field(default_factory=set)

    # What the events need.

    @property
    def plan(self) -> Any:
        return yaml.safe_load((self.folder / "territory.yml").read_text())

    def change_plan(self, change: Callable[[Any], object]) -> None:
        plan = self.plan
        change(plan)
        (self.folder / "territory.yml").write_text(yaml.safe_dump(json.loads(json.dumps(plan)), allow_unicode=True))

    def origins(self) -> dict[str, str]:
        return {name: str(it["node"]) for name, it in self.plan["services"].items()}

    def standbys(self) -> set[str]:
        return {node for it in self.plan["services"].values() for node in it.get("standbys", ())}

    def documents(self, service: str) -> Path:
        return Path(self.plan["services"][service]["paths"][0])

    def lose_documents(self, name: str) -> None:
        """Delete what lay at the box `name`: it is gone with it."""
        for service in (it for it, origin in self.origins().items() if origin == name):
            for file in self.documents(service).iterdir():
                file.unlink()

    def rest(self) -> None:
        """Nothing happens for a while: what is lost from now on is lost at once."""
        self.gone.clear()
        self.copies = {service: self._copies(service, origin) for service, origin in self.origins().items()}

    def may_lose(self, name: str) -> bool:
        """Whether each service is somewhere else too: nobody promises to bring back what was lost everywhere."""
        return all(it - self.gone - {name} for it in self.copies.values())

    def _copies(self, service: str, origin: str) -> frozenset[str]:
        return frozenset({origin, *(it for it in self.nodes if self.run_at(it, "vault", "show", service).is_done)})

    def forget_what_was_lost_everywhere(self) -> None:
        """Where the origin alone is left of those who had a service, older generations are not promised any more."""
        for service, had in self.copies.items():
            if had - self.gone <= {self.origins().get(service)}:
                newest = self.newest()[service]
                self.acknowledged[service] = {newest: self.acknowledged[service][newest]}

    def put_up(self, name: str, port: int) -> None:
        """An empty box stands there, switched on."""
        state = self.root / "nodes" / name
        state.mkdir(parents=True, exist_ok=True)
        self.nodes = {**self.nodes, name: ProcessNode(name, state, ADDRESS, port, environment=ENVIRONMENT)}

    def take_away(self, name: str) -> ProcessNode:
        gone = self.nodes[name]
        gone.kill()
        self.gone.add(name)
        self.nodes = {it: node for it, node in self.nodes.items() if it != name}
        return gone

    def type_well(self, place: str, *argv: str) -> Said:
        said = self.type_at(Proposal(place, argv))
        assert said.is_done, f"at {place}: {' '.join(argv)}: {said.code} {said.err}"
        return said

    # What must hold after each.

    def prove(self, draw: Random) -> None:
        """Every service is written by its origin and safe, and all that was ever acknowledged can be brought back."""
        for service, origin in self.origins().items():
            self.write_an_act(service)
            self.save(service, origin)
            number = draw.choice(sorted(self.acknowledged[service]))
            for each in {number, self.newest()[service]}:
                self.bring_back(service, origin, each)
        prove_counters(open_node(it.state) for it in self.nodes.values())
        begun = [str(it) for node in self.nodes.values() for it in node.layout.keys.glob("[fn]*/*")]
        assert not begun, f"a change of keys was begun and is not ended: {begun}"

    def newest(self) -> dict[str, str]:
        return {service: max(known, key=_order) for service, known in self.acknowledged.items()}

    def write_an_act(self, service: str) -> None:
        self.acts += 1
        (self.documents(service) / f"acte-{self.acts}").write_text(f"acte {self.acts}")

    def save(self, service: str, origin: str) -> None:
        """A backup of what lies there now; what is called safe is counted as acknowledged."""
        there = acts_in(self.documents(service))
        shown: dict[str, Any] = {}

        def is_safe() -> bool:
            said = self.run_at(origin, "--json", "backup", "run", service)
            shown.update(json.loads(said.out or "{}"), err=said.err)
            return said.is_done and bool(shown["safety"]["safe"])

        wait_until(is_safe, f"{service} is safe: {shown}")
        self.acknowledged.setdefault(service, {})[shown["generation"]] = there
        known = frozenset().union(*self.acknowledged[service].values())
        if lacking := known - there:
            raise Lost(f"{service} goes on without {sorted(lacking)}")

    def bring_back(self, service: str, origin: str, number: str) -> None:
        to = self.root / "brought back"
        words = ("restore", "all", "--service", service, "--from", f"generation:{number}", "--to", str(to))
        said = self.run_at(origin, *words)
        if "add --recovery-sheet" in said.err:  # the key of before a theft is on the sheet alone
            said = self.run_at(origin, *words, "--recovery-sheet")
        try:
            found = acts_in(to / str(self.documents(service)).lstrip("/"))
            if not said.is_done or found != self.acknowledged[service][number]:
                raise Lost(f"{service} {number}: {said.code} {said.err}: {sorted(found)}")
        finally:
            shutil.rmtree(to, ignore_errors=True)

    def run_at(self, place: str, *words: str) -> Said:
        return self._run(place, words)

    # The acts of a person that no command does.

    def acted(self, said: str) -> list[Proposal] | None:
        """Do what the sentence asks of a person, and return what the pages say to type then; None: it is waited for."""
        if "Raise quota in territory.yml" in said and any(
            it["quota"] == QUOTA for it in self.plan["services"].values()
        ):
            self.change_plan(lambda plan: [it.update(quota=RAISED) for it in plan["services"].values()])
            return [Proposal(KEY_HOLDER, SIGN)]
        for service, origin in self.origins().items():
            if LOST in said and f"--service {service} " in said and self._lacks_documents(service):
                return [Proposal(origin, tuple(it.split())) for it in QUOTED.findall(said) if " restore all " in it]
        return None

    def is_seen(self, condition: str, place: str) -> bool:
        own = [service for service, origin in self.origins().items() if origin == place]
        return condition == MISSING and any(map(self._lacks_documents, own))

    def _lacks_documents(self, service: str) -> bool:
        known = frozenset().union(*self.acknowledged.get(service, {}).values())
        return not known <= acts_in(self.documents(service))


def acts_in(folder: Path) -> frozenset[str]:
    return frozenset(it.name for it in folder.glob("acte-*")) if folder.is_dir() else frozenset()


def _order(number: str) -> tuple[int, ...]:
    return tuple(map(int, number.split(".")))


@contextmanager
def a_town(root: Path, operator_key: Path) -> Iterator[Town]:
    """The demo's territory, settled: `docs-a` is safe at its replica nodes, and every box has its agent."""
    may_start_sshd()
    documents, desk = root / "srv" / SERVICE, root / "desk"
    documents.mkdir(parents=True)
    desk.mkdir()
    (documents / "acte-0").write_text("acte 0")
    write_plan(desk, documents, operator_key)
    town = Town(desk, {}, {"BUNDLE": "bundle", "KEY": "territory"}, root=root)
    town.sheet = town.paper.secret.reveal()
    town.change_plan(lambda plan: plan["services"][SERVICE].update(SMALL))
    made = OnDesk(root, load(desk), recovery=town.paper.public)
    try:
        _begin(made, town)
        yield town
    finally:
        for node in {**made.nodes, **town.nodes}.values():
            node.kill()  # nothing here is kept, so nobody waits for a goodbye
        shutil.rmtree(root / "nodes", ignore_errors=True)


def _begin(made: OnDesk, town: Town) -> None:
    made.create()
    made.sign()
    (town.folder / "bundle").write_bytes(made.signed())
    (town.folder / "recovery.pub").write_text(f"{town.paper.public}\n")
    (town.folder / "keys").mkdir()
    made.begin_services()
    for name, node in made.nodes.items():
        (town.folder / "keys" / f"{name}.json").write_bytes(node.cli("internal", "node", "keys").stdout)
        node.environment = ENVIRONMENT
        node.start_sshd()
        town.nodes = {**town.nodes, name: node}
    done = writer.run(made.open("commune-a"), SERVICE)
    town.acknowledged[SERVICE] = {str(done.sealed.header.id): acts_in(town.documents(SERVICE))}
    for node in made.nodes.values():
        node.start_agent()


def a_port() -> int:
    return free_ports(ADDRESS, 1)[0]
