"""A town hall with three days behind it, and its portal: what every test of the pages looks at.

commune-a has the share docs-a; it is the standby of commune-b's docs-b and stands in for its accounts. On the first day
all was well, on the second a folder and a file were deleted and the budget changed, on the third a virus came.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import pyotp

from appliance.accounts.model import Account, Store
from appliance.accounts.passwords import nt_hash, slow_hash
from appliance.accounts.second_factor import code_hash, new_codes, new_totp
from appliance.accounts.store import write_store
from appliance.backup.peers.adopt import own_repository
from appliance.backup.writer import writer
from appliance.borg.client import Borg
from appliance.clock import utc_text
from appliance.config.load import load
from appliance.host.files import locked
from appliance.node.acts import keep_act
from appliance.restore.request import Reached, RequestFolder, Status, place_request, request_folder, save_status, tell
from appliance.secret import Secret
from appliance.territory.model import Person, Territory
from appliance.trust.act import make_act
from appliance.trust.keys import create_key
from appliance.units import DAY, HOUR
from appliance_lab.processes.node import free_ports
from appliance_lab.processes.territory import ProcessTerritory
from tests.waiting import wait_until
from tests.worlds.demo import INVENTORY, LOOPBACK, on_free_ports

PASSWORD = "un chêne près du lavoir"
NODE, OTHER = "commune-a", "commune-b"
ODD = "facture d'\udce9t\udce9 <b>gras.txt"
"""Latin-1, as old machines wrote it, and what looks like a tag."""
VICTIMS = 40
OPERATOR = "maintenance-key"
NOWHERE = Reached()


@dataclass(frozen=True)
class Who:
    """Somebody with an account: `codes` are printed ones that nobody has used yet."""

    name: str
    totp: str
    codes: list[str]


@dataclass
class World:
    territory: ProcessTerritory
    documents: Path
    others: Path
    people: dict[str, Who]
    port: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    sessions: dict[str, str] = field(default_factory=dict)
    """The sessions of people who signed in: a printed code opens once, so tests share a session."""
    visitors: list[Visitor] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def state(self) -> Path:
        return self.territory.nodes[NODE].state

    def archived(self, *names: str) -> str:
        return "/".join((str(self.documents).lstrip("/"), *names))

    def visit(self, name: str = "", *, source: str = "") -> Visitor:
        """A browser without a screen at the address `source`, signed in as `name` when one is given."""
        visitor = Visitor(self.address, source=source)
        self.visitors.append(visitor)
        if name and name not in self.sessions:
            answer = visitor.sign_in(name, PASSWORD, self.people[name].codes.pop())
            assert answer.status_code == 303, answer.text
            self.sessions[name] = visitor.cookies["portail"]
        if name:
            visitor.cookies = httpx.Cookies({"portail": self.sessions[name]})
        return visitor

    def serve(self, node: str, port: int) -> None:
        """Start the pages of `node`, and wait for what its worker sees first."""
        state = self.territory.nodes[node].state
        words = (
            "--state",
            str(state),
            "internal",
            "portal",
            "serve",
            "--listen",
            f"{LOOPBACK}:{port}",
            "--answer-after",
            "0",
        )
        with open(self.territory.root / f"{node}.log", "ab") as log:
            self.processes.append(subprocess.Popen((sys.executable, "-m", "appliance", *words), stderr=log))
        wait_until(lambda: is_answered(port), f"the pages of {node} answer")
        wait_until(lambda: (state / "portal-work/opened.json").exists(), f"the worker of {node} has looked")

    def agree(self, node: str = NODE) -> Path:
        """The maintenance team signs that the share may be replaced whole, and the act comes to `node`; where it is."""
        now = time.time()
        fields = {"act": "rewind", "subject": "docs-a", "service": "any", "operator": "maintenance"}
        said = {**fields, "reason": "ransomware", "start": utc_text(now - 60), "end": utc_text(now + HOUR)}
        opened = self.territory.open(node)
        before = set(opened.layout.acts.glob("*"))
        keep_act(opened.layout.acts, make_act(said, self.territory.root.parent / OPERATOR), opened.bundle)
        (act,) = set(opened.layout.acts.glob("*")) - before
        return act

    @contextmanager
    def held(self, name: str, status: Status, reached: Reached = NOWHERE) -> Iterator[RequestFolder]:
        """A copy of the file `name` that marie asked for, and that another process is at: the worker leaves it alone
        as long as the block takes, and brings it then."""
        requests = self.territory.nodes[NODE].layout.service("docs-a").requests
        now = time.time()
        request = place_request(
            requests,
            person="marie",
            service="docs-a",
            kind="download",
            archive="monday",
            moment_seconds=now - 3 * DAY,
            paths=(self.archived(name),),
            share=self.archived(),
            now=now,
        )
        folder = request_folder(requests, request.id)
        with locked(folder.lock, what="this order", wait=True):
            save_status(folder, status)
            tell(folder, reached)
            yield folder
        save_status(folder, Status())

    def stop(self) -> None:
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
        self.processes.clear()


class Visitor(httpx.Client):
    """Sends what a browser would send with a form of ours."""

    def __init__(self, address: str, *, verify: ssl.SSLContext | bool = True, source: str = "") -> None:
        transport = httpx.HTTPTransport(verify=verify, local_address=source or None)
        super().__init__(base_url=address, timeout=60, transport=transport)

    def token(self, page: str) -> str:
        text = self.get(page).text
        return text.partition('name="jeton" value="')[2].partition('"')[0]

    def submit(self, address: str, page: str = "/", **fields: object) -> httpx.Response:
        """Submit a form found on `page`."""
        headers = {"Origin": str(self.base_url).rstrip("/")}
        return self.post(address, data={"jeton": self.token(page), **fields}, headers=headers)

    def sign_in(self, name: str, password: str, code: str) -> httpx.Response:
        fields = {"identifiant": name, "secret": password, "code": code}
        return self.submit("/connexion", "/connexion", **fields)


@contextmanager
def running_world(root: Path) -> Iterator[World]:
    documents, others = root / "documents", root / "others"
    root.mkdir(exist_ok=True)
    create_key(root / OPERATOR)
    public = (root / f"{OPERATOR}.pub").read_text().strip()
    operators = {"maintenance": Person("maintenance", "Maintenance", (public,), ("rewind",))}
    territory = ProcessTerritory(root / "territory", replace(_plan(documents, others), people=operators))
    world = World(territory, documents, others, {}, free_ports(LOOPBACK, 1)[0])
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
    try:
        _write_documents(documents, others)
        territory.create()
        territory.sign()
        territory.begin_services()
        territory.start()
        _live_three_days(world)
        _let_in(world)
        world.serve(NODE, world.port)
        yield world
    finally:
        for visitor in world.visitors:
            visitor.close()
        world.stop()
        territory.stop()
        shutil.rmtree(root, ignore_errors=True)


def _plan(documents: Path, others: Path) -> Territory:
    plan = on_free_ports(load(INVENTORY))
    own = replace(plan.services["docs-a"], paths=(str(documents),))
    other = replace(
        own, name="docs-b", title="Documents de la commune B", node=OTHER, paths=(str(others),), standbys=(NODE,)
    )
    return replace(plan, services={"docs-a": own, "docs-b": other}, people={})


def _write_documents(documents: Path, others: Path) -> None:
    for folder in ("Conseil/2026", "Urbanisme/Permis", "Photos"):
        (documents / folder).mkdir(parents=True)
    others.mkdir(parents=True)
    (documents / "Conseil/2026/Délibération 12.txt").write_text("La délibération du conseil.\n")
    (documents / "Conseil/2026/Ordre du jour.txt").write_text("1. Le budget\n")
    (documents / "Budget 2026.txt").write_text("Recettes : 100\nDépenses : 90\n")
    (documents / "Photos" / ODD).write_text("une facture\n")
    (documents / "registre.csv").write_text("nom;date\n" * 200_000)
    for number in range(VICTIMS):
        (documents / f"Urbanisme/Permis/Permis de construire {number:02}.odt").write_text(f"permis {number}\n")
    (others / "Secret de la commune B.txt").write_text("rien pour A\n")
    now = time.time()
    for path in (*documents.rglob("*"), *others.rglob("*")):
        os.utime(path, (now - 30 * DAY, now - 30 * DAY))


def _live_three_days(world: World) -> None:
    node = world.territory.open(NODE)
    borg = Borg(own_repository(node.service("docs-a")))
    words = [str(world.documents).lstrip("/")]
    now, documents = time.time(), world.documents

    def save(name: str, ago: float) -> None:
        borg.create(name, words, cwd=Path("/"), timestamp=utc_text(now - ago))

    save("monday", 3 * DAY)
    (documents / "Budget 2026.txt").write_text("Recettes : 100\nDépenses : 95\n")
    os.utime(documents / "Budget 2026.txt", (now - 2 * DAY - HOUR,) * 2)
    shutil.rmtree(documents / "Conseil")
    (documents / "registre.csv").unlink()
    save("tuesday", 2 * DAY)
    for path in sorted((documents / "Urbanisme/Permis").iterdir()):
        path.rename(path.with_name(path.name + ".verrouille"))
        path.with_name(path.name + ".verrouille").write_text("chiffré")
        os.utime(path.with_name(path.name + ".verrouille"), (now - DAY - HOUR,) * 2)
    save("wednesday", DAY)
    writer.run(node, "docs-a")
    writer.run(world.territory.open(OTHER), "docs-b")


def _let_in(world: World) -> None:
    layout = world.territory.nodes[NODE].layout
    own = {name: account(world, name, groups) for name, groups in (("marie", ()), ("lucie", ()), ("regis", ("regie",)))}
    write_store(layout.accounts, Store(NODE, own))
    write_store(layout.accounts.parent / "of" / f"{OTHER}.json", Store(OTHER, {"paul": account(world, "paul", ())}))


def account(world: World, name: str, groups: tuple[str, ...]) -> Account:
    password, totp, codes = Secret(PASSWORD.encode()), new_totp(), list(new_codes())
    world.people[name] = Who(name, totp.reveal().decode(), codes)
    kept = tuple(map(code_hash, codes))
    return Account(
        name, name.title(), nt_hash(password), slow_hash(password), int(time.time()), groups, totp=totp, codes=kept
    )


def code_of(who: Who) -> str:
    """Return the code that the phone of `who` shows now."""
    return pyotp.TOTP(who.totp).now()


def is_answered(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0
