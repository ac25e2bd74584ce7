"""How fast things come back: a whole service from what a peer holds, and one file by its name."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from html import unescape
from pathlib import Path
from urllib.parse import quote

import httpx

from appliance.backup.peers.adopt import own_repository
from appliance.borg.client import Borg
from appliance.errors import ApplianceError
from appliance.escrow.envelopes import read_key
from appliance.host.command import run
from appliance.host.files import make_private_folder
from appliance.units import HOUR, MIB
from appliance_lab.bench.bench import Bench, in_turns
from appliance_lab.bench.env import BenchEnv
from appliance_lab.bench.figures import Figure, Goal
from appliance_lab.bench.measure import wall
from appliance_lab.demo.context import BLIND, SERVICE, STANDBY
from appliance_lab.processes.node import ProcessNode
from appliance_lab.stories.screen import open_pages
from appliance_lab.story import waiting

LOCAL = "`borg extract` of the origin's own repository"
NAMES_PER_FOLDER = 100
WANTED, WANTED_WORDS = "dossier-0003/delibération n° 42.txt", "délibération 342"
LEARNING_SECONDS_MAX, SAVED_SECONDS_MAX = 120.0, 60.0


def whole_service(bench: Bench) -> tuple[Figure, ...]:
    """`appliance restore all` on the standby: of what it holds itself, and of what it fetches from the other peer.

    Both are a peer's holding, so both have the goal. Ours ends when everything is durable; borg never asks for that.
    """
    env = bench.saved().env
    standby = env.territory.nodes[STANDBY]
    size = bench.size.documents_bytes / MIB
    held, fetched, local = [], [], []
    for number in bench.runs("a whole service"):
        legs = {
            "held": partial(_restore_all, bench, standby, "standby"),
            "fetched": partial(_restore_fetched, bench, standby),
            LOCAL: partial(_extract, bench, env, ()),
        }
        with env.listening():
            speeds = {name: size / seconds for name, seconds in in_turns(number, legs)}
        held.append(speeds["held"])
        fetched.append(speeds["fetched"])
        local.append(speeds[LOCAL])
    goal = Goal(0.8, at_least=True)
    title = "a whole service at the standby, from what it holds itself, speed"
    notes = ("the view is opened again each time, so borg indexes it first",)
    fetching = "a whole service from a peer's holding, every byte fetched over SSH first, speed"
    return (
        Figure("whole", title, "MiB/s", tuple(held), tuple(local), LOCAL, goal, notes),
        Figure("whole-fetched", fetching, "MiB/s", tuple(fetched), tuple(local), LOCAL, goal, notes),
    )


def _restore_all(bench: Bench, node: ProcessNode, source: str) -> float:
    """Seconds for everything, into an empty folder, with nothing opened or fetched before."""
    service = node.layout.service(SERVICE)
    for folder in (service.opened, service.root / "elsewhere", service.root / "fetched", service.restores):
        shutil.rmtree(folder, ignore_errors=True)
    words = ("--quiet", "restore", "all", "--service", SERVICE, "--from", source, "--to")
    return _into_empty(bench, lambda target: node.cli(*words, str(target), timeout_seconds=HOUR))


def _restore_fetched(bench: Bench, node: ProcessNode) -> float:
    """The same with every byte from the blind peer: what `node` holds itself would not be asked for."""
    held = node.layout.vault / SERVICE
    aside = held.rename(held.parent.with_name("held-aside"))
    try:
        return _restore_all(bench, node, f"peer:{BLIND}")
    finally:
        shutil.rmtree(held, ignore_errors=True)
        aside.rename(held)


def _extract(bench: Bench, env: BenchEnv, paths: tuple[str, ...]) -> float:
    """Seconds for borg alone, as its own users type it."""
    layout = env.origin.layout.service(SERVICE)
    repository, passphrase = own_repository(layout), read_key(layout.key).passphrase
    archive = Borg(repository).archives()[-1].name
    words = ("borg", "extract", f"{repository.path}::{archive}", *paths)
    return _into_empty(
        bench,
        lambda target: run(
            words,
            timeout_seconds=HOUR,
            cwd=make_private_folder(target),
            env={"BORG_BASE_DIR": str(repository.base)},
            secret_fds={"BORG_PASSPHRASE_FD": passphrase},
            check=True,
        ),
    )


def _into_empty(bench: Bench, restore: Callable[[Path], object]) -> float:
    target = bench.work / "restored"
    try:
        return wall(lambda: restore(target))
    finally:
        shutil.rmtree(target, ignore_errors=True)


def one_file(bench: Bench) -> tuple[Figure, ...]:
    """`restore find` and `restore file` at the origin, typed one after the other, in a service of many small files."""
    documents = _many_files(bench.work / "many", bench.size.many_files)
    env = bench.set_up("many-files", documents)
    path = f"{str(documents).lstrip('/')}/{WANTED}"
    with env.listening():
        bench.say(f"backing up {bench.size.many_files} files and reading their names")
        env.back_up()
    learned = wall(partial(_find, env))
    ours, portal, theirs = [], [], []
    try:
        button = _find_button(open_pages(env.origin, "marie"), path)
        for number in bench.runs("one file of many"):
            legs = {
                "ours": partial(_into_empty, bench, partial(_find_and_restore, env, path)),
                "portal": partial(wall, button.click),
                "borg": partial(_extract, bench, env, (path,)),
            }
            seconds = dict(in_turns(number, legs))
            ours.append(seconds["ours"])
            portal.append(seconds["portal"])
            theirs.append(seconds["borg"])
    finally:
        env.wipe()
    title = f"one file of {bench.size.many_files:,} by its name, wall"
    saved = f"one file of {bench.size.many_files:,} back in the browser, from the click to its last byte, wall"
    notes = (f"the first search after a backup reads the new names: {learned:.1f} s here; the agent does it before",)
    return (
        Figure("file-wall", title, "s", tuple(ours), goal=Goal(2.0), notes=notes),
        Figure("file-ratio", title, "s", tuple(ours), tuple(theirs), "`borg extract` of its path", Goal(1.5)),
        Figure("portal-file", saved, "s", tuple(portal), goal=Goal(2.0)),
        Figure("portal-file-ratio", saved, "s", tuple(portal), tuple(theirs), "`borg extract` of its path"),
    )


def _find(env: BenchEnv) -> str:
    """The path of the wanted file, found by a part of its name."""
    words = ("--json", "restore", "find", *Path(WANTED).stem.split(), "dossier-0003", "--service", SERVICE)
    return str(json.loads(env.origin.cli(*words).stdout)["found"][0]["path"])


def _find_and_restore(env: BenchEnv, path: str, target: Path) -> None:
    found = _find(env)
    assert found == path, found
    env.origin.cli("restore", "file", found, "--service", SERVICE, "--to", str(target))


@dataclass(frozen=True)
class Button:
    """« Enregistrer une copie » of the newest version, on the page of the wanted file in `browser`."""

    browser: httpx.Client
    form: Mapping[str, str]

    def click(self) -> None:
        """Until the last byte: the page that follows is asked as often as it says, and its link is clicked at once."""
        deadline = time.monotonic() + SAVED_SECONDS_MAX
        headers = {"Origin": str(self.browser.base_url).rstrip("/")}
        answer = self.browser.post("/demandes", data=self.form, headers=headers, follow_redirects=True)
        order, page = answer.url.path, answer.text
        while again := re.search(r'hx-trigger="every (\d+)ms"', page):
            if time.monotonic() > deadline:
                raise ApplianceError(f"the file was not there after {SAVED_SECONDS_MAX:.0f} s.")
            time.sleep(int(again[1]) / 1000)
            page = self.browser.get(order, headers={"HX-Request": "true"}).text
        saved = self.browser.get(f"{order}/fichier")
        if saved.status_code != httpx.codes.OK or WANTED_WORDS not in saved.text:
            raise ApplianceError(f"what came is not the wanted file: {saved.status_code}.")


def _find_button(browser: httpx.Client, path: str) -> Button:
    """Once the worker beside the pages has read the names."""
    address = f"/fichier/{SERVICE}?chemin={quote(path)}"
    with waiting("the page of the wanted file", LEARNING_SECONDS_MAX) as done:
        while not done(browser.get(address).status_code == httpx.codes.OK):
            pass
    page = browser.get(address).text
    fields = {name: re.search(f'name="{name}" value="([^"]*)"', page) for name in ("jeton", "quoi")}
    return Button(browser, {"action": "copy", **{name: unescape(it[1]) for name, it in fields.items() if it}})


def _many_files(root: Path, count: int) -> Path:
    """Small files, a hundred a folder; made by hand, for the corpus has no files that small."""
    for number in range(count):
        folder = root / f"dossier-{number // NAMES_PER_FOLDER:04d}"
        if number % NAMES_PER_FOLDER == 0:
            make_private_folder(folder)
        text = f"délibération {number}\n" * (1 + number % 9)
        (folder / f"delibération n° {number % NAMES_PER_FOLDER}.txt").write_text(text)
    return root
