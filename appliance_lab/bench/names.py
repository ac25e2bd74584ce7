"""A million names: how long a search takes, and how long the catalogue takes to learn the next archive."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from appliance.borg.client import Borg
from appliance.borg.model import Repository
from appliance.errors import ApplianceError
from appliance.host.command import run
from appliance.host.files import make_private_folder
from appliance.restore.schema import open_catalogue
from appliance.restore.search import search
from appliance.secret import Secret
from appliance.units import HOUR, MIB
from appliance_lab.bench.bench import Bench
from appliance_lab.bench.figures import Figure, Goal
from appliance_lab.checkout import code_folder
from appliance_lab.corpus.draw import Draw

WORDS = (
    "délibération", "conseil", "budget", "facture", "permis", "construire", "urbanisme", "école", "cantine", "mariage",
    "arrêté", "voirie", "marché", "subvention", "association", "réunion", "cadastre", "élection", "courrier", "paie",
)  # fmt: skip
ENDINGS = ("odt", "pdf", "docx", "xlsx", "jpg", "eml", "txt")
FILES_PER_FOLDER = 100
CHANGED_SHARE = 0.0025
QUERIES = 200
PHRASE = b"bench"
SHARE = "srv/shares/docs"


@dataclass(frozen=True)
class Named:
    """A repository with two archives of many names, and the catalogue of the first alone."""

    repository: Repository
    catalogue: Path


def names(bench: Bench) -> tuple[Figure, ...]:
    """Two archives are made once; each run searches, and learns the second archive from a copy of the catalogue."""
    root = make_private_folder(bench.work / "names")
    made = _two_archives(bench, root)
    middle, slow, seconds, memory = [], [], [], []
    for number in bench.runs("a million names"):
        copy = root / f"catalogue-{number}.db"
        shutil.copyfile(made.catalogue, copy)
        learned = learn(copy, made.repository)
        seconds.append(learned["seconds"])
        memory.append(learned["memory_bytes"] / MIB)
        with closing(open_catalogue(copy)) as catalogue:
            times = sorted(search_milliseconds(catalogue, queries(number)))
        middle.append(times[len(times) // 2])
        slow.append(times[len(times) * 95 // 100])
        copy.unlink()
    shutil.rmtree(root)
    count = f"{bench.size.names:,}"
    note = (f"{QUERIES} searches a run: one or two words, parts of words, numbers, and what there is not",)
    learn_title = f"the next archive of {count} names, {CHANGED_SHARE:.2%} of them changed, learned by the catalogue"
    aside = ("borg, which lists the archive meanwhile, is in the time and not in the memory",)
    return (
        Figure("search-p50", f"search over {count} paths, half", "ms", tuple(middle), goal=Goal(5), notes=note),
        Figure("search-p95", f"search over {count} paths, 95 of 100", "ms", tuple(slow), goal=Goal(100), notes=note),
        Figure("names-wall", learn_title, "s", tuple(seconds), goal=Goal(45), notes=aside),
        Figure("names-memory", f"{learn_title}, memory", "MiB", tuple(memory), goal=Goal(100), notes=aside),
    )


def search_milliseconds(catalogue: sqlite3.Connection, terms: list[str]) -> list[float]:
    """How long each search takes within a person's share, the first fifty hits with all that a page shows of them."""
    times: list[float] = []
    for term in terms:
        started = time.perf_counter()
        search(catalogue, term, folders=(SHARE,))
        times.append((time.perf_counter() - started) * 1000)
    return times


def queries(seed: int) -> list[str]:
    draw = Draw("queries", seed)
    kinds = (
        lambda: draw.pick(WORDS),
        lambda: f"{draw.pick(WORDS)} {draw.pick(WORDS)}",
        lambda: draw.pick(WORDS)[1:5],
        lambda: f"{draw.pick(WORDS)} {draw.between(1, 999_999)}",
        lambda: f"{draw.pick(WORDS)} {2000 + draw.below(26)} {draw.pick(ENDINGS)}",
        lambda: f"{draw.pick(WORDS)} introuvable",
        lambda: str(10 + draw.below(90)),
    )
    return [kinds[number % len(kinds)]() for number in range(QUERIES)]


def learn(catalogue: Path, repository: Repository) -> dict[str, float]:
    """Let a process of its own learn what is new, as the agent does; its seconds and its highest memory."""
    asked = {"catalogue": str(catalogue), "repository": str(repository.path), "base": str(repository.base)}
    words = (sys.executable, "-P", "-m", "appliance_lab.bench.learning", json.dumps(asked))
    code = {"PYTHONPATH": str(code_folder())}
    result = run(words, timeout_seconds=HOUR, stdin=PHRASE, env=code, check=True)
    found: dict[str, float] = json.loads(result.stdout)
    return found


def _two_archives(bench: Bench, root: Path) -> Named:
    bench.say(f"making {bench.size.names:,} empty files, and two archives of them")
    share = root / "live" / SHARE
    paths = make_files(share, bench.size.names)
    made = Named(Repository(root / "repository", root / "base", Secret(PHRASE)), root / "catalogue.db")
    borg = Borg(made.repository)
    borg.init()
    borg.create("first", [SHARE], cwd=root / "live")
    learn(made.catalogue, made.repository)
    changed = random.Random(1).sample(paths, max(1, round(len(paths) * CHANGED_SHARE)))
    for number, path in enumerate(changed):
        if number % 25:
            (share / path).write_text("changed")
        else:
            (share / path).unlink()
    borg.create("second", [SHARE], cwd=root / "live")
    shutil.rmtree(root / "live")
    with closing(open_catalogue(made.catalogue)) as catalogue:
        if catalogue.execute("SELECT count(*) FROM ver WHERE kind = 'file'").fetchone()[0] != len(paths):
            raise ApplianceError("the first archive was not learned whole.")
        catalogue.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return made


def make_files(share: Path, count: int) -> list[str]:
    """Empty files with the names of a town hall, of about 90 bytes with their folders."""
    draw = Draw("names")
    paths: list[str] = []
    folder = ""
    for number in range(count):
        if number % FILES_PER_FOLDER == 0:
            case = f"dossier {number // FILES_PER_FOLDER:05d} {draw.pick(WORDS)}"
            folder = f"{draw.pick(WORDS).capitalize()}/{2000 + number % 26}/{case}"
            os.makedirs(share / folder)
        name = f"{draw.pick(WORDS)} {draw.pick(WORDS)} n° {number} du {1 + number % 28}.{ENDINGS[number % 7]}"
        os.close(os.open(share / folder / name, os.O_CREAT | os.O_WRONLY, 0o640))
        paths.append(f"{folder}/{name}")
    return paths
