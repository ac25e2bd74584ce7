"""The progress of a soak, kept below build/ so that it can be cut and continued; and its page when it is done."""

from __future__ import annotations

import json
import os
import re
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from appliance.clock import utc_text
from appliance.host.command import run
from appliance.host.files import locked, write_atomic
from appliance_lab.story import machine

ROOT = Path(__file__).parents[3]


def runs_wanted(sample: int) -> int:
    """How many runs `make soak N=...` asks for; without it, as many as the daily sample."""
    return int(os.environ.get("APPLIANCE_SOAK_RUNS") or sample)


ABOUT = """Each made a fault or two, then one backup, and looked for anything
lost: every acknowledged generation whole where its receipt was signed, the newest restored identical
from each peer, no counter used twice, one chain, no lock left."""


class Results:
    """The runs of the soak `name` that held at the present commit, by what they were drawn from. Several processes may
    play parts of it at once. `about`: what a run is, and what was looked at; `column`: what the table of it counts."""

    def __init__(self, name: str, about: str = ABOUT, column: str = "fault") -> None:
        self.name, self.about, self.column = name, about, column
        self.path = ROOT / "build" / "soaks" / f"{name}.json"
        self.commit = _commit()
        self.runs = self._read()

    def _read(self) -> dict[str, dict[str, Any]]:
        before = json.loads(self.path.read_bytes()) if self.path.exists() else {}
        return before.get("runs", {}) if before.get("commit") == self.commit else {}

    def has(self, drawn: str) -> bool:
        return drawn in self.runs

    def held(self, drawn: str, done: str, seconds: float) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with locked(self.path.with_suffix(".lock"), what="the results", wait=True):
            self.runs = {**self._read(), drawn: {"done": done, "seconds": round(seconds, 2)}}
            write_atomic(self.path, json.dumps({"commit": self.commit, "runs": self.runs}).encode())

    def write_down(self, seed: int, drawn: Sequence[str], *, folder: Path) -> Path:
        """Write the dated result, as JSON for machines and as a page for people; the page."""
        now = utc_text(time.time())
        runs = {each: self.runs[each] for each in drawn}
        stem = folder / f"{now[:10]}-soak-{self.name}"
        data = {"schema": 1, "suite": self.name, "time": now, "commit": self.commit, "seed": seed, "verdict": "held"}
        text = json.dumps({**data, "machine": machine(), "runs": runs}, indent=1, ensure_ascii=False)
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(stem.with_suffix(".json"), text.encode() + b"\n")
        write_atomic(stem.with_suffix(".md"), self._page(now, seed, runs).encode())
        return stem.with_suffix(".md")

    def _page(self, now: str, seed: int, runs: dict[str, dict[str, Any]]) -> str:
        kinds = Counter(re.sub(r"[\d.]+", "N", part) for it in runs.values() for part in it["done"].split(", "))
        here = machine()
        lines = [
            f"# Soak {self.name}, {now[:10]}",
            "",
            f"{len(runs)} runs held, none failed. {self.about}",
            "",
            f"- commit `{self.commit}`, seed {seed}: `make soak SUITE=soak_{self.name} N={len(runs)} SEED={seed}`",
            f"- machine: {here['cores']} cores, {here['processor']}, {here['memory']}, kernel {here['kernel']}",
            f"- {sum(it['seconds'] for it in runs.values()):.0f} s in all",
            "",
            f"| {self.column} | times |",
            "| --- | ---: |",
            *(f"| {kind} | {count} |" for kind, count in sorted(kinds.items())),
            "",
            f"What each run did is in [{now[:10]}-soak-{self.name}.json]({now[:10]}-soak-{self.name}.json).",
        ]
        return "\n".join(lines) + "\n"


def _commit() -> str:
    done = run(("git", "-C", str(ROOT), "rev-parse", "HEAD"), timeout_seconds=20)
    return done.stdout.decode().strip() or "unknown"
