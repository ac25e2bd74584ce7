"""The page of a story's report: one table, readable without colour, without script, at any width."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

WORDS = {"held": "✔ held", "violated": "✘ violated", "unknown": "? unknown"}

STYLE = """ :root { color-scheme: light dark; font: 1.05rem/1.5 system-ui, sans-serif; } body { max-width: 62rem;
margin: 2rem auto; padding: 0 1rem; } h1 { font-size: 1.6rem; margin-bottom: .2rem; } .verdict { display: inline-
block; padding: .2rem .8rem; border: 2px solid; border-radius: .4rem; font-weight: 600; } .held { color: light-
dark(#0b6b2e, #6fdc94); } .violated { color: light-dark(#a8071a, #ff8f8f); } .unknown { color: light-dark(#7a4b00,
#f3c04b); } table { border-collapse: collapse; width: 100%; margin: 1.5rem 0; } th, td { text-align: left; vertical-
align: top; padding: .55rem .6rem; border-bottom: 1px solid light-dark(#ccc, #555); } td.number { text-align: right;
white-space: nowrap; } td.state { white-space: nowrap; font-weight: 600; } dl { display: grid; grid-template-columns:
max-content 1fr; gap: .2rem 1rem; color: light-dark(#444, #bbb); } dd { margin: 0; } @media (max-width: 40rem) { thead
{ display: none; } tr, td { display: block; border: 0; padding: .15rem 0; }
  tr { border-bottom: 1px solid light-dark(#ccc, #555); padding: .6rem 0; } td.number { text-align: left; } }
"""


def render_page(title: str, report: Mapping[str, Any]) -> str:
    """The HTML of a report as `Story.write` makes it."""
    rows = "".join(_row(number, step) for number, step in enumerate(report["steps"], 1))
    machine = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>" for name, value in report["machine"].items()
    )
    verdict = str(report["verdict"])
    return f"""<!doctype html>
<html lang="en"> <head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}: {verdict}</title><style>{STYLE}</style></head> <body> <main> <h1>{escape(title)}</h1> <p><span
class="verdict {verdict}">{WORDS[verdict]}</span></p> <table> <caption hidden>Steps of the story and their
verdicts</caption> <thead><tr><th scope="col">Step</th><th scope="col">Verdict</th><th scope="col">Seconds</th><th
scope="col">What was seen</th></tr></thead> <tbody>{rows}</tbody> </table> <h2>Machine</h2> <dl>{machine}</dl> </main>
</body> </html>
"""


def _row(number: int, step: Mapping[str, Any]) -> str:
    verdict = str(step["verdict"])
    return (
        f'<tr><td>{number}. {escape(str(step["name"]))}</td><td class="state {verdict}">{WORDS[verdict]}</td>'
        f'<td class="number">{step["seconds"]:.1f} s</td><td>{escape(str(step["detail"]))}</td></tr>\n'
    )
