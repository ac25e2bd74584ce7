"""The result as a page and as JSON: what was measured, on what machine, how it spread, and whether the goal was met."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from appliance.host.files import write_atomic
from appliance_lab.bench.figures import Figure, spread


@dataclass(frozen=True)
class Result:
    """`conditions` are names and values: machine, commit, command, sizes; not `complete` when a row failed.

    `noted` is what only a person knew of the run, by hand: what else the machine did meanwhile.
    """

    date: str
    conditions: Mapping[str, str]
    figures: Sequence[Figure]
    complete: bool = True
    noted: Sequence[str] = ()


def write(folder: Path, result: Result) -> Path:
    """Write `bench-DATE.md` and `.json` into `folder`; return the page."""
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / f"bench-{result.date}.md"
    write_atomic(page, render(result).encode())
    content = json.dumps(values(result), ensure_ascii=False, indent=1)
    write_atomic(page.with_suffix(".json"), content.encode() + b"\n")
    return page


def render(result: Result) -> str:
    """The page in Markdown."""
    lines = [f"# Figures of {result.date}", ""]
    lines += [f"- {name}: {value}" for name, value in result.conditions.items()]
    lines += [f"- noted by hand: {note}" for note in result.noted]
    lines += ["", *_HOW, "", "| figure | against | ours | theirs | figure: min / median / max | goal | verdict |"]
    lines += ["|---|---|---|---|---|---|---|", *map(_row, result.figures), ""]
    lines += [f"- {figure.name}: {note}." for figure in result.figures for note in figure.notes]
    return "\n".join(lines) + "\n"


_HOW = (
    "With something to compare, the figure is ours divided by theirs, run by run, both measured in the same run and in "
    "turns; ours and theirs are medians. The median of the figure is judged.",
    "Both sides use the same sshds, ssh options and cipher, `keyfile-blake2`, `zstd,3`, files caches that stay warm, "
    "and read the same documents; every fsync, signature and check of ours is on. We run borg as the product does: "
    "segments of 64 MiB, no self-test at each start. They run borg's defaults.",
)


def _row(figure: Figure) -> str:
    found = figure.spread
    theirs = f"{number(spread(figure.against).median)} {figure.unit}" if figure.against else ""
    shown = " / ".join(map(number, (found.minimum, found.median, found.maximum)))
    cells = (
        figure.title,
        figure.rival,
        f"{number(spread(figure.ours).median)} {figure.unit}",
        theirs,
        shown,
        str(figure.goal or ""),
        figure.verdict,
    )
    return f"| {' | '.join(cells)} |"


def number(value: float) -> str:
    """Three significant digits, without exponents."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def values(result: Result) -> dict[str, Any]:
    """All of the result, for programs."""
    return {
        "schema": 1,
        "date": result.date,
        "conditions": dict(result.conditions),
        "noted": list(result.noted),
        "figures": [_figure(figure) for figure in result.figures],
    }


def _figure(figure: Figure) -> dict[str, Any]:
    judged = {"values": figure.values, "spread": asdict(figure.spread), "verdict": figure.verdict}
    return {**asdict(figure), "goal": str(figure.goal or ""), **judged}
