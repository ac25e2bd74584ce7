"""The page of a story's report: one table, readable without colour, without script, at any width."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from typing import Any

from appliance.units import format_count, format_duration

WORDS = {"held": "✔ held", "violated": "✘ violated", "unknown": "? unknown"}

# Rules, not prose: a break inside a word or a property voids the rule.
STYLE = """
:root { color-scheme: light dark; font: 1.05rem/1.5 system-ui, sans-serif; }
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: .2rem; }
h2 { font-size: 1.2rem; }
.verdict { display: inline-block; padding: .2rem .8rem; border: 2px solid; border-radius: .4rem; font-weight: 600; }
.held { color: light-dark(#0b6b2e, #6fdc94); }
.violated { color: light-dark(#a8071a, #ff8f8f); }
.unknown { color: light-dark(#7a4b00, #f3c04b); }
table { border-collapse: collapse; width: 100%; margin: 1.5rem 0; }
th, td { text-align: left; vertical-align: top; padding: .55rem .6rem; }
tr { border-bottom: 1px solid light-dark(#ccc, #555); }
td.number { text-align: right; white-space: nowrap; }
td.state { white-space: nowrap; font-weight: 600; }
td, dd { overflow-wrap: break-word; }
td:first-child { min-width: 11rem; }
code { font-size: .92em; background: light-dark(#f0f0ee, #2b2b29); padding: 0 .25em; border-radius: .2em; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; color: light-dark(#444, #bbb); }
dd { margin: 0; }
@media (max-width: 40rem) {
  thead { display: none; }
  tr, td { display: block; padding: .15rem 0; }
  tr { padding: .6rem 0; }
  td.number { text-align: left; }
}
"""

HEADINGS = ("Step", "Verdict", "Took", "What was seen")
RUN = {"started_at": "started", "version": "version", "commit": "commit", "documents": "documents"}


def render_page(title: str, report: Mapping[str, Any]) -> str:
    """The HTML of a report as `Story.write` makes it."""
    verdict = str(report["verdict"])
    took = format_duration(sum(step["seconds"] for step in report["steps"]))
    steps = format_count(len(report["steps"]), "step")
    headings = "".join(f'<th scope="col">{heading}</th>' for heading in HEADINGS)
    rows = "".join(_row(number, step) for number, step in enumerate(report["steps"], 1))
    run = _listed({name: report[key] for key, name in RUN.items() if report[key]})
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}: {verdict}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<h1>{escape(title)}</h1>
<p><span class="verdict {verdict}">{WORDS[verdict]}</span> &ensp;{steps} in {took}</p>
<table>
<caption hidden>Steps of the story and their verdicts</caption>
<thead><tr>{headings}</tr></thead>
<tbody>
{rows}</tbody>
</table>
<h2>Run</h2>
{run}
<h2>Machine</h2>
{_listed(report["machine"])}
</main>
</body>
</html>
"""


def _row(number: int, step: Mapping[str, Any]) -> str:
    verdict = str(step["verdict"])
    return (
        f'<tr><td>{number}. {escape(str(step["name"]))}</td><td class="state {verdict}">{WORDS[verdict]}</td>'
        f'<td class="number">{step["seconds"]:.1f} s</td><td>{_detail(str(step["detail"]))}</td></tr>\n'
    )


def _listed(items: Mapping[str, object]) -> str:
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(str(it))}</dd>\n" for name, it in items.items())
    return f"<dl>\n{rows}</dl>"


def _detail(text: str) -> str:
    """`text` as HTML; what it says to type is set as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
