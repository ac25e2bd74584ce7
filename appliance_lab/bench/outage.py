"""How long a service is away when its node is lost, by a client that asks all the time; and what a node pays for that.

Hosts of a lab: an exclusive site is at home at commune-a, the hermitage stands by and leads the voters. After each
fault its origin is repaired and the service asked back, so every run begins alike.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from secrets import token_hex

from appliance.clock import utc_seconds
from appliance.errors import ApplianceError
from appliance.failover.history import line
from appliance.host.command import run
from appliance.host.network import netns
from appliance.secret import Secret
from appliance.territory.implicit import implicit_name
from appliance.units import MIB
from appliance_lab.bench.bench import SEED, Bench, in_turns
from appliance_lab.bench.booting import NAME, checkout, quiet
from appliance_lab.bench.figures import Figure, Goal
from appliance_lab.bench.resting import failover_at_rest
from appliance_lab.checkers.invariants import TOLERANCE, writers_at_once
from appliance_lab.checkers.verdict import read
from appliance_lab.corpus import generate
from appliance_lab.hosts import lab as labs
from appliance_lab.hosts import machine
from appliance_lab.hosts.disturb import disturb
from appliance_lab.hosts.faults import HEALED, Fault, targets
from appliance_lab.hosts.lab import Lab
from appliance_lab.hosts.paths import HostPaths
from appliance_lab.hosts.pc import Pc
from appliance_lab.hosts.provision import provision
from appliance_lab.hosts.saving import saving
from appliance_lab.story import waiting

ORIGIN, STANDBY, CLIENT = "commune-a", "hermitage", "commune-c"
SERVICE, ADDRESS = "horaires", "10.64.8.1"
SHARE, SHARE_NAME, SHARE_ADDRESS, SHARE_FOLDER = "docs-a", "Documents", "10.64.8.3", "/srv/shares/documents"
SHARE_BYTES, SHARE_FILES = 40 * MIB, 10_000
DECLARED = f"""services:
  {SERVICE}: {{node: {ORIGIN}, standbys: [{STANDBY}], policy: exclusive, address: {ADDRESS}, copies: 2,
    paths: [/srv/sites/{SERVICE}], size: 1M, change_per_day: 1M, quota: 1G}}
"""
ONE_SECONDS, BOTH_SECONDS, GAP_SECONDS, MOVE_SECONDS = 16.0, 22.0, 3.0, 10.0
ONE_SECONDS_EACH = 18.0
SAVES_EVERY_SECONDS = 0.5
IDLE_MIB, IDLE_PERCENT = 40.0, 0.5
COMES_ABOUT_SECONDS_MAX = 300.0
AWAY_SECONDS_MIN = 3.0
"""A shorter silence is no takeover: a lease lasts 15 s."""
WATCH_SECONDS = 20.0
ASKING = """
import socket, sys, time
while True:
    try:
        with socket.create_connection((sys.argv[1], 80), 0.1) as line:
            line.settimeout(0.5)
            line.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
            if line.recv(12).endswith(b" 200"):
                print(time.clock_gettime(time.CLOCK_BOOTTIME), flush=True)
    except OSError:
        pass
    time.sleep(0.05)
"""


def outage(bench: Bench) -> tuple[Figure, ...]:
    """Each fault in turn, as often as there are runs; the idle cost first, before anything happened."""
    with served(bench) as ground:
        memory, share, load = failover_at_rest(bench, ground.lab.plan.node(ORIGIN).namespace)
        legs: dict[str, Callable[[], float]] = {
            "a lost power": lambda: ground.away(ground.without_power()),
            "a box that stands still": lambda: ground.away(ground.standing_still()),
            "a cut line": lambda: ground.away(ground.cut("")),
            "a line that loses what its origin sends": lambda: ground.away(ground.cut(ORIGIN)),
            "a lost power, and the voters' leader killed with it": lambda: ground.away(
                ground.without_power(), kill=True
            ),
            "the voters' leader killed alone": ground.gap,
            "moved": ground.moved,
        }
        seconds: dict[str, list[float]] = {name: [] for name in legs}
        for number in bench.runs("a service and its lost home"):
            for name, took in in_turns(number, legs):
                seconds[name].append(took)
                bench.say(f"{name}: {took:.1f} s")
        at_once, who = ground.writers_at_once()
    *ones, both, gap, moved = legs
    notes = (
        "from the fault to the first answer elsewhere, its files in place; lease 15 s",
        "less the site's own start, which is a figure of its own",
    )
    one = Goal(ONE_SECONDS, each=ONE_SECONDS_EACH)
    goals = {**dict.fromkeys(ones, one), both: Goal(BOTH_SECONDS, each=BOTH_SECONDS)}
    return (
        *(
            Figure(_id(it), f"served again after {it}", "s", tuple(seconds[it]), goal=goal, notes=notes)
            for it, goal in goals.items()
        ),
        Figure(
            "outage-own-start", "the site's own start", "s", tuple(ground.starts), notes=("its server, by systemd",)
        ),
        Figure(_id(gap), f"longest silence with {gap}", "s", tuple(seconds[gap]), goal=Goal(GAP_SECONDS)),
        Figure(
            "outage-moved",
            f"a share of {SHARE_FILES} files moved as planned",
            "s",
            tuple(seconds[moved]),
            goal=Goal(MOVE_SECONDS),
            notes=("from the order to Samba at the standby, while somebody saves a file every half second",),
        ),
        Figure(
            "outage-pause",
            "the same, longest time that a client which saves and tries again waits",
            "s",
            tuple(ground.pauses),
            notes=("each try gives up after two seconds; nothing that was taken is lost",),
        ),
        Figure(
            "outage-writers",
            "two nodes that write a service at once, over all of this",
            "s",
            (at_once,),
            goal=Goal(TOLERANCE),
            notes=(f"by what both wrote down; ten milliseconds after a thaw are allowed (decision 50): {who}",),
        ),
        Figure(
            "coordination-share",
            "coordination at rest, memory of a client",
            "MiB",
            share,
            goal=Goal(IDLE_MIB),
            notes=("each page by its share (PSS): the node's agent has Python and OpenSSL in memory without it, too",),
        ),
        Figure("coordination-memory", "the same, what others share counted whole (RSS)", "MiB", memory),
        Figure("coordination-cpu", "the same, CPU", "% of a core", load, goal=Goal(IDLE_PERCENT)),
    )


def _id(name: str) -> str:
    return "outage-" + re.sub(r"[^a-z]+", "-", name)


@contextmanager
def served(bench: Bench) -> Iterator[Outage]:
    inventory = bench.work / "outage"
    shutil.copytree(checkout() / "inventory/lab", inventory)
    file = inventory / "territory.yml"
    text = file.read_text().replace("services:\n", DECLARED, 1)
    file.write_text(text.replace(f"  {SHARE}:\n", f"  {SHARE}:\n    address: {SHARE_ADDRESS}\n", 1))
    try:
        labs.down(HostPaths(), NAME, quiet)
        bench.say("a lab of hosts, not measured")
        lab = labs.up(HostPaths(), NAME, inventory, quiet)
        provision(lab)
        ground = Outage(lab, Secret(token_hex(16).encode()))
        ground.wait(lambda: ground.state(ORIGIN) == ground.state(ORIGIN, SHARE) == "ACTIVE", "both at home")
        ground.run(ORIGIN, "tee", f"/srv/sites/{SERVICE}/index.html", stdin=b"horaires\n")
        generate(lab.root(lab.plan.node(ORIGIN)) / SHARE_FOLDER[1:] / "many", SHARE_BYTES, SHARE_FILES, SEED)
        # A share that nobody can enter is served nowhere.
        ground.run(
            ORIGIN, "appliance", "account", "add", "bench", "--title", "Banc", stdin=ground.password.reveal() + b"\n"
        )
        for service in (implicit_name(ORIGIN), SERVICE, SHARE):
            ground.save(service)
        for service in (SERVICE, SHARE):
            ground.wait_until_well(service)
        try:
            yield ground
        except ApplianceError:  # with the lab goes what could say why
            for line in ground.told():
                bench.say(line)
            raise
    finally:
        labs.down(HostPaths(), NAME, quiet)
        shutil.rmtree(inventory, ignore_errors=True)


@dataclass(frozen=True)
class Outage:
    """`password`: of who may enter the share."""

    lab: Lab
    password: Secret
    starts: list[float] = field(default_factory=list)
    """How long the site itself took to start, each time it was taken over."""
    pauses: list[float] = field(default_factory=list)
    """How long somebody who saves had to wait, at each move of the share."""
    lines: list[str] = field(default_factory=list)
    """The lines of the site's history that no node could write down."""

    def run(self, node: str, *argv: str, stdin: bytes = b"") -> str | None:
        """Return the output of `argv` on `node`; None when it fails."""
        words = machine.enter_argv(self.lab.plan.node(node), argv)
        ended = run(words, timeout_seconds=COMES_ABOUT_SECONDS_MAX, stdin=stdin)
        return ended.stdout.decode() if ended.exit_code in (0, 1) else None

    def save(self, service: str) -> None:
        self.wait(lambda: self.run(ORIGIN, "appliance", "backup", "run", service) is not None, f"a backup of {service}")

    def state(self, node: str, service: str = SERVICE) -> str:
        told = self.run(node, "cat", f"/srv/appliance/node/run/failover/{service}.json")
        return str(json.loads(told)["state"]) if told else ""

    def told(self) -> Iterator[str]:
        """How both candidates stand, and what they wrote down last."""
        for node in (ORIGIN, STANDBY):
            for service in (SERVICE, SHARE):
                yield f"{node}: {self.run(node, 'cat', f'/srv/appliance/node/run/failover/{service}.json')}"
            for file in ("failover.jsonl", "journal.jsonl"):
                yield f"{node}, {file}:\n{self.run(node, 'tail', '-n', '100', f'/srv/appliance/node/{file}')}"

    def wait(self, holds: Callable[[], bool], what: str) -> None:
        with waiting(what, COMES_ABOUT_SECONDS_MAX) as done:
            while not done(holds()):
                pass

    def wait_until_well(self, service: str = SERVICE) -> None:
        """At home, the newest generation at the standby and laid out there, and the hermitage leads."""
        self.wait(lambda: self.state(ORIGIN, service) == "ACTIVE", f"{service} at home")
        self.wait(lambda: self.state(STANDBY, service) == "STANDBY", f"a copy of {service}")
        self.wait(lambda: self._is_installed_ahead(service), f"{service} laid out at {STANDBY}")
        self._have_lead()

    def _have_lead(self) -> None:
        """Have the standby lead the voters. Another leader gives that back, but not twice in ten minutes, which a
        broker that restarts does not know."""
        self.wait(lambda: bool(self._leader()), "a leader of the voters")
        leader = self._leader() or STANDBY
        if leader != STANDBY:
            self.run(leader, "systemctl", "restart", "appliance-broker.service")
        self.wait(lambda: self._leader() == STANDBY, f"{STANDBY} leads the voters")

    def _is_installed_ahead(self, service: str) -> bool:
        """Whether the agent of the standby has looked at that since the newest generation came."""
        came = self.run(STANDBY, "find", f"/srv/appliance/vault/{service}", "-name", "header", "-printf", "%T@ ") or ""
        said = f'"kind": "ready", "service": "{service}"'
        lines = self.run(STANDBY, "grep", "--fixed-strings", said, "/srv/appliance/node/journal.jsonl") or ""
        ended = [it["time"] for it in map(json.loads, lines.splitlines()) if it["event"] == "work-ended"]
        return bool(ended and came) and utc_seconds(ended[-1]) >= int(max(map(float, came.split())))

    def _leader(self) -> str:
        told = self.run(STANDBY, "appliance", "--json", "voter", "show")
        return next((it["node"] for it in json.loads(told)["voters"] if it["leads"]), "") if told else ""

    def away(self, fault: _Fault, *, kill: bool = False) -> float:
        """Seconds from the fault to the first answer elsewhere but for its own start; then it is at home again."""
        begin, mend = fault
        with self._asked() as answers:
            begun = _now()
            begin()
            if kill:
                self._kill_leader()
            seconds = self._first_after_silence(answers, begun) - begun
        self.wait(lambda: self.state(STANDBY) == "ACTIVE", f"{SERVICE} at {STANDBY}, where it is served")
        mend()
        self.starts.append(self._own_start(begun))
        self._hand_back(SERVICE)
        return seconds - self.starts[-1]

    def _own_start(self, begun: float) -> float:
        lines = self.run(STANDBY, "grep", "--fixed-strings", "writer-start", "/srv/appliance/node/failover.jsonl") or ""
        found = (it for it in map(json.loads, lines.splitlines()) if it["svc"] == SERVICE and it["t_boottime"] > begun)
        return float(next(found)["took"])

    def moved(self) -> float:
        """Seconds from the order to a Samba that answers at the standby, while somebody saves; then it is at home
        again."""
        asks = f"import socket; socket.create_connection(({SHARE_ADDRESS!r}, 445), 0.5)"
        near = netns.inside(self.lab.plan.node(CLIENT).namespace, ())
        argv = (*near, sys.executable, "-I", "-c", asks)
        with saving(Pc(near, SHARE_ADDRESS, "bench", self.password), SHARE_NAME, SAVES_EVERY_SECONDS) as it:
            self.wait(lambda: bool(it.taken), "somebody saves")
            begun = _now()
            if self.run(STANDBY, "appliance", "failover", "move", SHARE, STANDBY) is None:
                raise ApplianceError(f"{SHARE} was not moved.")
            self.wait(lambda: run(argv, timeout_seconds=COMES_ABOUT_SECONDS_MAX).exit_code == 0, "Samba at the standby")
            seconds, before = _now() - begun, len(it.taken)
            self.wait(lambda: len(it.taken) > before + 1, "somebody saves on")
        self.pauses.append(it.longest_pause(begun))
        kept = set((self.run(STANDBY, "ls", SHARE_FOLDER) or "").split())
        if lost := [number for number in range(len(it.taken)) if f"saved-{number}.txt" not in kept]:
            raise ApplianceError(f"{SHARE} lost files {lost} by a planned move.")
        self._hand_back(SHARE)
        return seconds

    def writers_at_once(self) -> tuple[float, str]:
        """The most seconds that two nodes wrote one of the services at once, by all that they wrote down, and who."""
        found = [line((0.0, 0.0, ""), "", it, 0, "begin", policy="exclusive", home=ORIGIN) for it in (SERVICE, SHARE)]
        found += self.lines
        for node in (ORIGIN, STANDBY):
            told = (self.run(node, "cat", "/srv/appliance/node/failover.jsonl") or "").splitlines()
            found += [it for it in told if json.loads(it)["svc"] in (SERVICE, SHARE)]
        return max(map(writers_at_once, read(found)))

    def _tell(self, node: str, event: str, *, ago: float = 0.0, **more: object) -> None:
        self.lines.append(line((_now() - ago, time.time() - ago, ""), node, SERVICE, 0, event, **more))

    def _hand_back(self, service: str) -> None:
        self.wait(lambda: self.state(ORIGIN, service) == "STANDBY", f"the home of {service} stands by")
        words = ("appliance", "failover", "move", service, ORIGIN)
        self.wait(lambda: self.run(STANDBY, *words) is not None, f"the way home of {service}")
        self.wait(lambda: self.state(ORIGIN, service) == "ACTIVE", f"{service} at home again")
        self.save(service)  # as its agent does, a little later
        self.wait_until_well(service)

    def gap(self) -> float:
        """The longest silence while the voters' leader is killed and starts again."""
        with self._asked() as answers:
            begun = _now()
            self._kill_leader()
            time.sleep(WATCH_SECONDS)
            times = [begun, *(it for it in answers() if it > begun), _now()]
        self.wait_until_well()
        return max(later - earlier for earlier, later in pairwise(times))

    def _kill_leader(self) -> None:
        self.run(STANDBY, "systemctl", "kill", "--signal=KILL", "appliance-voter.service")

    @contextmanager
    def _asked(self) -> Iterator[Callable[[], list[float]]]:
        """Somebody who asks twenty times a second; when there was an answer, by the clock that all hosts share."""
        words = netns.inside(self.lab.plan.node(CLIENT).namespace, (sys.executable, "-I", "-c", ASKING, ADDRESS))
        log = self.lab.own.root / "answers"
        with log.open("wb") as file, subprocess.Popen(words, stdout=file) as asking:

            def answers() -> list[float]:
                return [float(line) for line in log.read_text().split("\n")[:-1]]

            try:
                self.wait(lambda: bool(answers()), "a first answer")
                yield answers
            finally:
                asking.kill()

    def _first_after_silence(self, answers: Callable[[], list[float]], begun: float) -> float:
        found: list[float] = []

        def is_back() -> bool:
            times = [begun, *(it for it in answers() if it > begun)]
            pairs = pairwise(times)
            found.extend(later for earlier, later in pairs if later - earlier > AWAY_SECONDS_MIN)
            return bool(found)

        self.wait(is_back, f"{SERVICE} elsewhere")
        return found[0]

    def without_power(self) -> _Fault:
        node = self.lab.plan.node(ORIGIN)

        def begin() -> None:
            machine.cut_power(node)
            self._tell(ORIGIN, "writer-stop")

        def mend() -> None:
            labs.power_on(self.lab, node)
            labs.wait_for_ssh(self.lab, (node,))

        return begin, mend

    def standing_still(self) -> _Fault:
        node = self.lab.plan.node(ORIGIN)

        def begin() -> None:
            machine.freeze(node)
            self._tell("", "fault", fault="freeze", target=ORIGIN)

        def mend() -> None:
            at = machine.thaw(node)
            self._tell("", "heal", ago=time.time() - at, fault="freeze", target=ORIGIN)

        return begin, mend

    def cut(self, only_from: str) -> _Fault:
        links = targets(self.lab.plan, f"{ORIGIN}--*")
        fault = Fault(cut=True, cut_from=only_from)
        return (
            lambda: disturb(self.lab, dict.fromkeys(links, fault)),
            lambda: disturb(self.lab, dict.fromkeys(links, HEALED)),
        )


type _Fault = tuple[Callable[[], None], Callable[[], None]]
"""The function that begins the fault, and the one that ends it."""


def _now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
