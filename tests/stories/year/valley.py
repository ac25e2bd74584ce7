"""The territory of the story of a year, on hosts: what its people see of services, and where an operator types.

`Valley` has what the operator's program of tests/integration/operator needs of a place.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from appliance.host.command import Result, run
from appliance.host.network import netns
from appliance.secret import Secret
from appliance_lab.checkout import code_folder
from appliance_lab.hosts.pc import Pc
from appliance_lab.hosts.playbook import play
from appliance_lab.hosts.provision import meet
from appliance_lab.stories.context import StoryContext
from tests.integration.operator.obeying import Operator
from tests.integration.operator.printed import KEY_HOLDER, Proposal, Said
from tests.pace import LONG
from tests.waiting import wait_until
from tests.worlds.summaries import by_the_recovery_sheet, for_the_key_holder

INVENTORY = Path(__file__).parent
TOWN, THIRD_PLACE, VOTER, OTHER = "saint-remy", "parc", "lhay", "boeurs"
DOCUMENTS, DATABASE, SITE = "documents", "etat-civil", "horaires"
MOVING = (DOCUMENTS, DATABASE, SITE)
SHARE, DATABASE_NAME = "Documents", "etat_civil"
ADDRESSES = {DOCUMENTS: "10.68.8.3", DATABASE: "10.68.8.5", SITE: "10.68.8.1"}
CLERK, PASSWORD = "marie", Secret(b"une pomme dans la neige")
NOTICES = "connect_timeout=3 keepalives_idle=2 keepalives_interval=1 keepalives_count=3"
TYPED_SECONDS_MAX = 900.0
COMES_ABOUT_WITHIN_SECONDS = LONG * 180.0
SIGN = re.compile(r"Sign it: (appliance act sign [^`\n]*FILE)")
RUNS_MAX = 6
LOOKS_EVERY_SECONDS = 5.0
ASKS_EVERY_SECONDS = 0.1


@dataclass
class Valley:
    context: StoryContext
    typed: list[str] = field(default_factory=list)
    """All that the operator typed, with its place and its exit code, for the person who reads about a failure."""
    dark: set[str] = field(default_factory=set)
    """The nodes at which nobody can type: without power, or not yet nodes again."""

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(it.name for it in self.context.lab.plan.nodes if it.name not in self.dark)

    # What an operator does.

    def goes_on(self, name: str) -> Said:
        return _said(self.context.ssh(name, "appliance", "--json", "status"))

    def acted(self, said: str) -> list[Proposal] | None:
        return None

    def type_at(self, proposal: Proposal) -> Said:
        if proposal.place == KEY_HOLDER:
            said = self.type_here(proposal.argv)
        else:
            said = _said(self.context.ssh(proposal.place, *proposal.argv))
        self.typed.append(f"{proposal} -> {said.code} {f'{said.out.strip()} {said.err.strip()}'[-600:]}")
        return said

    def type_here(self, argv: tuple[str, ...]) -> Said:
        """Type it at the control machine, where the holder of the territory key sits, too, who has read what is
        shown."""
        if argv[0] == "ansible-playbook":
            name = next(Path(it).stem for it in argv if it.endswith(".yml"))
            return self.obey_playbook(name, *argv[argv.index("-e") :] if "-e" in argv else ())
        key = str(self.context.control.territory_key)
        words = [key if it == "KEY" else it for it in argv]
        if words[1:3] in (["territory", "grant"], ["node", "revoke"]):
            words += ["--yes"] * ("--yes" not in words)
        return _said(run(("bin/" + words[0], *words[1:]), timeout_seconds=TYPED_SECONDS_MAX, cwd=code_folder()))

    def obey_playbook(self, name: str, *words: str) -> Said:
        """Play it, type what it prints to the key holder, and play it again, until it prints nothing more to type."""
        for _ in range(RUNS_MAX):
            played = play(self.context.control, name, *words)
            self.typed.append(f"ansible-playbook {name} {' '.join(words)} -> {played.exit_code} {played.seconds:.0f} s")
            assert played.exit_code == 0, f"{name}: {played.tail()}"
            for place, line in by_the_recovery_sheet(played):
                said = _said(self.context.ssh(place, *line.split(), stdin=self.context.control.paper.read_bytes()))
                self.typed.append(f"at {place}: {line}, with the recovery sheet -> {said.code}")
                assert said.is_done, said.err
            lines = for_the_key_holder(played)
            if not lines:
                return Said(0)
            for line in lines:
                said = self.type_at(Proposal(KEY_HOLDER, tuple(line.split())))
                assert said.is_done, f"{line}: {said.err}"
        raise AssertionError(f"after {RUNS_MAX} runs {name} still asks for {lines}")

    def settle(self) -> None:
        """Look at every node, and do what is proposed until nothing is; first what a person had to compare before."""
        for argv in list(self._left_branches()):
            self.typed_well(TOWN, *argv)
        Operator(self, pause=lambda _: time.sleep(LOOKS_EVERY_SECONDS)).settle()

    def _left_branches(self) -> Iterator[tuple[str, ...]]:
        """Return what is proposed for branches of databases. Here the person knows that nothing in them is missed: the
        town hall was saved just before its power failed."""
        said = json.loads(self.goes_on(TOWN).out)
        for step in (step for it in said["judged"] for reason in it["reasons"] for step in reason["next"]):
            if step.get("argv", [])[1:3] == ["failover", "merge"] and "--leave" in step["argv"]:
                yield tuple(step["argv"])

    def promote(self, service: str, node: str) -> None:
        """As the person who answers for it that nobody else can serve: by the lines that are printed, with the words
        filled in that only a person knows."""
        refused = self.type_at(Proposal(node, ("appliance", "failover", "promote", service)))
        line = SIGN.search(refused.err)
        assert line, refused.err
        act = self.context.control.safe / f"promote-{service}.act"
        key = str(self.context.control.operator_key)
        words = {"--reason": "la mairie est injoignable", "--operator": "regie", "--key": key, "--out": str(act)}
        argv = [words.get(before, it) for before, it in pairwise(["", *line[1].split()])]
        signed = self.type_at(Proposal(KEY_HOLDER, tuple(argv)))
        assert signed.is_done, signed.err
        self.context.did(node, "tee", f"/srv/{act.name}", stdin=act.read_bytes())
        self.typed_well(node, "appliance", "failover", "promote", service, "--act", f"/srv/{act.name}")

    def move(self, service: str, node: str) -> None:
        """A planned move, typed again for as long as it is refused, as by voters that have not heard of everybody."""
        if self.serves(service) != [node]:
            typed = Proposal(THIRD_PLACE, ("appliance", "failover", "move", service, node))
            until(lambda: self.type_at(typed).is_done or self.serves(service) == [node], f"{service} moves to {node}")
        until(lambda: self.serves(service) == [node], f"{node} serves {service}")

    def typed_well(self, node: str, *argv: str) -> None:
        said = self.type_at(Proposal(node, argv))
        assert said.is_done, f"{node}: {' '.join(argv)}: {said.err}"

    def back_up(self) -> None:
        """The hour of the next backup of all that the town hall has."""
        for service in (*MOVING, f"appliance-{TOWN}"):
            typed = ("appliance", "backup", "run", service)
            until(lambda it=typed: self.context.ssh(TOWN, *it).exit_code in (0, 1), f"a backup of {service}")  # type: ignore[misc]

    def meet(self, name: str) -> None:
        """Compare the fingerprint on the screen of the new box."""
        lab = self.context.lab
        assert meet(lab, self.context.control, lab.plan.node(name)), f"{name} has its former host key"

    # What people see, from a town hall that has none of it.

    def rows(self) -> list[str]:
        return self._sql("SELECT nom FROM acte ORDER BY id").stdout.decode().splitlines()

    def add_row(self, name: str) -> bool:
        return self._sql(f"INSERT INTO acte (nom) VALUES ('{name}')").exit_code == 0

    def make_table(self) -> None:
        made = "CREATE TABLE IF NOT EXISTS acte (id serial PRIMARY KEY, nom text NOT NULL)"
        socket = f"/run/appliance-database-{DATABASE}"
        password = f"ALTER ROLE {DATABASE_NAME} PASSWORD '{PASSWORD.reveal().decode()}'"
        typed = ("runuser", "--user=postgres", "--", "psql", "-XqAt", "-h", socket, "-d", DATABASE_NAME)
        self.context.did(TOWN, *typed, stdin=password.encode())
        done = self._sql(made)
        assert done.exit_code == 0, done.stderr.decode()

    def page(self) -> str:
        asks = "import sys, urllib.request as r; print(r.urlopen(f'http://{sys.argv[1]}/', timeout=2).read().decode())"
        argv = self._at(OTHER, "python3", "-I", "-c", asks, ADDRESSES[SITE])
        return run(argv, timeout_seconds=60).stdout.decode().strip()

    def write_page(self, text: str) -> None:
        self.context.did(TOWN, "tee", "/srv/sites/horaires/index.html", stdin=text.encode())

    def clerk(self) -> Pc:
        return Pc(self._at(OTHER), ADDRESSES[DOCUMENTS], CLERK, PASSWORD)

    @contextmanager
    def asked_all_the_time(self) -> Iterator[list[float]]:
        """Ask the database by new connections, one after the other; the gaps between two answers, in seconds, are there
        at the end."""
        ended, gaps = threading.Event(), list[float]()

        def ask() -> None:
            last = time.monotonic()
            while not ended.is_set():
                if self.rows():
                    gaps.append(time.monotonic() - last)
                    last = time.monotonic()
                ended.wait(ASKS_EVERY_SECONDS)

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield gaps
        finally:
            ended.set()
            thread.join()

    def document(self, name: str) -> str:
        """Return the content of a document for the clerk; "" while nobody serves it."""
        asks = f"import socket; socket.create_connection(({ADDRESSES[DOCUMENTS]!r}, 445), 1)"
        if run(self._at(OTHER, "python3", "-I", "-c", asks), timeout_seconds=60).exit_code != 0:
            return ""
        return self.clerk().get(SHARE, name) if self.clerk().refusal(SHARE, "ls") == "" else ""

    def serves(self, service: str) -> list[str]:
        """Return the nodes that say that they serve it, of those that can be asked."""
        found = []
        for name in self.nodes:
            told = self.context.ssh(name, "cat", f"/srv/appliance/node/run/failover/{service}.json").stdout
            if b'"ACTIVE"' in told:
                found.append(name)
        return found

    def _sql(self, statement: str) -> Result:
        to = f"host={ADDRESSES[DATABASE]} dbname={DATABASE_NAME} user={DATABASE_NAME} {NOTICES}"
        argv = ("psql", "-XqAtw", "-v", "ON_ERROR_STOP=1", "-d", to, "-c", statement)
        return run(self._at(OTHER, *argv), timeout_seconds=120, env={"PGPASSWORD": PASSWORD.reveal().decode()})

    def _at(self, node: str, *argv: str) -> tuple[str, ...]:
        return netns.inside(self.context.lab.plan.node(node).namespace, argv)


def until(holds: Callable[[], bool], what: str) -> float:
    """Seconds until it holds; fail when it does not come."""
    return wait_until(holds, what, COMES_ABOUT_WITHIN_SECONDS)


def _said(result: Result) -> Said:
    return Said(result.exit_code, result.stdout.decode(errors="replace"), result.stderr.decode(errors="replace"))
