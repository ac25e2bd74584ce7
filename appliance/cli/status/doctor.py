"""`appliance doctor`: every check of this node, its answer, what to type, and the page that says more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import click

from appliance.cli.arguments import about_this_node
from appliance.cli.language.spoken import AS_WRITTEN, Voice, spoken
from appliance.cli.output import emit
from appliance.cli.status.text import EXIT_CODES, reason_json, reason_text, role_text, state_width
from appliance.cli.this_status import this_status
from appliance.monitor.checks import CHECKS, runbook_of
from appliance.monitor.measures import checks_in, state_of
from appliance.monitor.states import ORDER, Reason, State
from appliance.monitor.status import Status


@dataclass(frozen=True)
class Answer:
    check: str
    subject: str
    role: str
    state: State
    reason: Reason | None = None


@click.command()
@click.option("--all", "everything", is_flag=True, help="Also show the checks that are well.")
def doctor(everything: bool) -> int:
    """Run every check of this node and print a remedy for each that is not well, the worst first.

    The same checks feed `appliance status`, the metrics that Prometheus reads, and so the alerts. Exits as status does:
    with 0 when all is well, 1 when something needs attention, 4 when something failed or is unknown. A check for which
    this machine lacks something is shown as unknown and does not count.
    """
    found = this_status()
    answers = sorted(answers_of(found), key=lambda it: ORDER.index(it.state))
    shown = {"node": found.node, "state": found.state, "checks": [_json(it) for it in answers]}
    emit(shown, about_this_node(spoken(lambda voice: doctor_text(answers, everything=everything, voice=voice))))
    return EXIT_CODES[found.state]


def answers_of(found: Status) -> Iterator[Answer]:
    for judged in found.judged:
        for check in checks_in(judged):
            yield Answer(check, judged.subject, judged.role, *state_of(judged, check))


def _json(it: Answer) -> dict[str, Any]:
    about = {"check": it.check, "subject": it.subject, "role": it.role, "state": it.state}
    said = reason_json(it.reason) if it.reason else {"sentence": "", "remedy": "", "next": []}
    return {**said, **about, "question": CHECKS[it.check].question, "runbook": runbook_of(it.check)}


def doctor_text(answers: list[Answer], *, everything: bool, voice: Voice = AS_WRITTEN) -> str:
    shown = [it for it in answers if everything or it.state != "ok"]
    well = sum(it.state == "ok" for it in answers)
    lines = [line for it in shown for line in _block(it, voice)]
    return "\n".join((*lines, voice.say(f"{well} of {len(answers)} checks are well.")))


def _block(it: Answer, voice: Voice) -> Iterator[str]:
    column = state_width(voice)
    margin = " " * (column + 1)
    asked = f"{role_text(it.role, voice)}{voice.say(':')} {voice.say(CHECKS[it.check].question)}{voice.say('?')}"
    yield f"{voice.say(it.state):{column}} {it.subject}  {asked}"
    if it.reason:
        yield f"{margin}{reason_text(it.reason, voice)}"
        yield f"{margin}{voice.say('see')} {runbook_of(it.check)}"
