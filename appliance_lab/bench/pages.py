"""The pages of the portal under many hands: fifty secretaries who search at once, and what is left in memory after."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import quote

import httpx

from appliance.accounts.model import Account, Store
from appliance.accounts.passwords import nt_hash, slow_hash
from appliance.accounts.second_factor import code_hash, new_codes, new_totp
from appliance.accounts.store import write_store
from appliance.errors import ApplianceError
from appliance.host.files import make_private_folder
from appliance.host.network import http_call
from appliance.secret import Secret
from appliance.units import MIB
from appliance_lab.bench.bench import Bench
from appliance_lab.bench.env import BenchEnv
from appliance_lab.bench.figures import Figure, Goal
from appliance_lab.bench.measure import children
from appliance_lab.bench.names import make_files, queries
from appliance_lab.bench.resting import LOOPBACK, memory_bytes, wait_until_settled
from appliance_lab.processes.node import ProcessNode, free_ports
from appliance_lab.stories.screen import sign_in
from appliance_lab.story import waiting

SECRETARIES, ROUNDS = 50, 10
PASSWORD = "un chêne près du lavoir"
SEARCH_MILLISECONDS_MAX, MEMORY_MIB_MAX = 500, 60
ANSWER_SECONDS_MAX, LEARNING_SECONDS_MAX = 60.0, 900.0
PAGE_BYTES_MAX = 16 * MIB


@dataclass(frozen=True)
class Secretary:
    """Somebody signed in at the pages that listen at `listen`: what her browser sends with each question."""

    listen: str
    cookie: str

    def get(self, address: str) -> str:
        """Return the answer that htmx would get; raise ApplianceError for anything but a page."""
        headers = {"Cookie": self.cookie, "HX-Request": "true"}
        try:
            return http_call.fetch(
                f"http://{self.listen}{address}",
                seconds_max=ANSWER_SECONDS_MAX,
                bytes_max=PAGE_BYTES_MAX,
                headers=headers,
            ).decode()
        except OSError as error:
            raise ApplianceError(f"the pages do not show {address}: {error}.") from error

    def milliseconds(self, term: str) -> float:
        """How long a search takes her, a new connection and the whole answer."""
        began = time.monotonic()
        self.get(f"/retrouver?q={quote(term)}")
        return 1000 * (time.monotonic() - began)


def pages(bench: Bench) -> tuple[Figure, ...]:
    """All press Enter at the same moment, ROUNDS times a run, each for words of her own."""
    env = _ground(bench)
    origin, listen = env.origin, f"{LOOPBACK}:{free_ports(LOOPBACK, 1)[0]}"
    codes = _let_in(origin)
    try:
        origin.start_portal(listen)
        serving = origin.processes[-1].pid
        workers = children(serving)
        secretaries = [_signed_in(listen, name, code, number) for number, (name, code) in enumerate(codes.items(), 1)]
        _wait_until_learned(secretaries[0])
        wait_until_settled(workers, bench.size.settled_seconds)
        slow, middle = [], []
        with ThreadPoolExecutor(SECRETARIES) as together:
            for number in bench.runs(f"{SECRETARIES} secretaries searching at once"):
                times = sorted(_search(together, secretaries, number))
                middle.append(times[len(times) // 2])
                slow.append(times[len(times) * 95 // 100])
        wait_until_settled(workers, bench.size.settled_seconds)
        alone, both = [], []
        for _ in bench.runs("the pages at rest"):
            time.sleep(bench.size.rest_seconds / bench.size.runs)
            alone.append(memory_bytes((serving,)) / MIB)
            both.append(memory_bytes((serving, *workers)) / MIB)
    finally:
        env.wipe()
    count = f"{bench.size.names:,}"
    asked = f"{SECRETARIES} secretaries searching at once over {count} paths, each over HTTP"
    note = (f"{ROUNDS} times a run all press Enter at the same moment; every answer came, and each is in the journal",)
    after = (f"after {SECRETARIES} sign-ins and {SECRETARIES * ROUNDS * bench.size.runs:,} searches",)
    goal = Goal(SEARCH_MILLISECONDS_MAX)
    return (
        Figure("portal-search-p50", f"{asked}, half", "ms", tuple(middle), notes=note),
        Figure("portal-search-p95", f"{asked}, 95 of 100", "ms", tuple(slow), goal=goal, notes=note),
        Figure(
            "portal-memory",
            "the pages at rest, resident memory",
            "MiB",
            tuple(alone),
            goal=Goal(MEMORY_MIB_MAX),
            notes=after,
        ),
        Figure(
            "portal-worker-memory",
            "the pages and the worker beside them at rest, resident memory",
            "MiB",
            tuple(both),
            notes=("libraries that both map are counted once",),
        ),
    )


def _ground(bench: Bench) -> BenchEnv:
    """A territory whose service has the names of a million files, saved by an ordinary run."""
    share = make_private_folder(bench.work / "shared")
    bench.say(f"making {bench.size.names:,} empty files, and backing them up")
    make_files(share, bench.size.names)
    env = bench.set_up("pages", share)
    with env.listening():
        env.back_up()
    shutil.rmtree(share)
    return env


def _let_in(node: ProcessNode) -> dict[str, str]:
    """Accounts of SECRETARIES people, and a printed code of each, by name."""
    password, totp = Secret(PASSWORD.encode()), new_totp()
    fast, slow, now = nt_hash(password), slow_hash(password), int(time.time())
    codes = {f"secretaire{number}": new_codes()[0] for number in range(1, SECRETARIES + 1)}
    accounts = {
        name: Account(name, name.title(), fast, slow, now, totp=totp, codes=(code_hash(code),))
        for name, code in codes.items()
    }
    write_store(node.layout.accounts, Store(node.name, accounts))
    return codes


def _signed_in(listen: str, name: str, code: str, number: int) -> Secretary:
    """From a PC of her own: from one address only so many may try to sign in."""
    transport = httpx.HTTPTransport(local_address=f"127.0.1.{number}")
    address = f"http://{listen}"
    with httpx.Client(base_url=address, timeout=ANSWER_SECONDS_MAX, trust_env=False, transport=transport) as browser:
        sign_in(browser, name, PASSWORD, code)
        return Secretary(listen, "; ".join(f"{name}={value}" for name, value in browser.cookies.items()))


def _wait_until_learned(secretary: Secretary) -> None:
    """Until the worker beside has read every name."""
    with waiting("the names of what was saved", LEARNING_SECONDS_MAX) as done:
        while not done("trouvé" in secretary.get("/retrouver?q=budget")):
            pass


def _search(together: ThreadPoolExecutor, secretaries: Sequence[Secretary], number: int) -> list[float]:
    """The milliseconds of each search of a run."""
    begin = threading.Barrier(len(secretaries))

    def search(secretary: Secretary, term: str) -> float:
        begin.wait(ANSWER_SECONDS_MAX)
        return secretary.milliseconds(term)

    times: list[float] = []
    for turn in range(ROUNDS):
        times += together.map(search, secretaries, queries(number * ROUNDS + turn))
    return times
