"""`appliance doctor`: every check of this node, its answer, what to type, and the page that says more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import click

from appliance.cli.arguments import about_this_node
from appliance.cli.output import emit
from appliance.cli.status.text import EXIT_CODES, ROLES
from appliance.cli.this_status import this_status
from appliance.monitor.checks import CHECKS, runbook_of
from appliance.monitor.measures import checks_in, state_of
from appliance.monitor.next_steps import next_steps
from appliance.monitor.states import ORDER, State
from appliance.monitor.status import Status
from appliance.units import printable

MARGIN = " " * 9


@dataclass(frozen=True)
class Answer:
    check: str
    subject: str
    role: str
    state: State
    sentence: str = ""
    remedy: str = ""
    next: tuple[dict[str, object], ...] = ()


@click.command()
@click.option("--all", "everything", is_flag=True, help="Also show the checks that are well.")
def doctor(everything: bool) -> int:
    """Run every check of this node and print a remedy for each that is not well, the worst first.

    The same checks feed `appliance status`, the metrics that Prometheus reads, and so the alerts. Exits as status does:
    with 0 when all is well, 1 when something needs attention, 4 when something failed or is unknown. A check for which
    this machine lacks something is shown as unknown and does not count.
    """
    found = this_status()
    answers = sorted(_answers(found), key=lambda it: ORDER.index(it.state))
    shown = {"node": found.node, "state": found.state, "checks": [_json(it) for it in answers]}
    emit(shown, about_this_node(_text(answers, everything)))
    return EXIT_CODES[found.state]


def _answers(found: Status) -> Iterator[Answer]:
    for judged in found.judged:
        for check in checks_in(judged):
            state, reason = state_of(judged, check)
            said = (reason.sentence, reason.remedy, next_steps(reason)) if reason else ("", "", ())
            yield Answer(check, judged.subject, judged.role, state, *said)


def _json(it: Answer) -> dict[str, Any]:
    return {**vars(it), "question": CHECKS[it.check].question, "runbook": runbook_of(it.check)}


def _text(answers: list[Answer], everything: bool) -> str:
    shown = [it for it in answers if everything or it.state != "ok"]
    well = sum(it.state == "ok" for it in answers)
    lines = [line for it in shown for line in _block(it)]
    return "\n".join((*lines, f"{well} of {len(answers)} checks are well."))


def _block(it: Answer) -> Iterator[str]:
    yield f"{it.state:8} {it.subject}  {ROLES.get(it.role, it.role)}: {CHECKS[it.check].question}?"
    if it.state != "ok":
        yield f"{MARGIN}{printable(it.sentence)} {it.remedy}".rstrip()
        yield f"{MARGIN}see {runbook_of(it.check)}"
