"""`appliance lab check`: whether a history of a run kept the promises of failover."""

from __future__ import annotations

from pathlib import Path

import click

from appliance.cli.arguments import FILE_TYPE, read_file
from appliance.cli.output import emit, table
from appliance.errors import WARNINGS, IntegrityError, UsageError
from appliance_lab.checkers.invariants import CHECKS
from appliance_lab.checkers.verdict import WORST_FIRST, Report, read
from appliance_lab.checkers.verdict import check as judge


@click.command()
@click.argument("file", metavar="FILE", type=FILE_TYPE)
def check(file: Path) -> int | None:
    """Check the history in FILE: no second writer, no lost write, and recovery in time.

    The same file can be checked any number of times. Exits with 5 when a promise was broken, with 1 when something
    could not be judged or never happened in the run.
    """
    try:
        lines = read_file(file).decode().splitlines()
    except UnicodeDecodeError as error:
        raise UsageError(
            "this is not a text file.", where=str(file), remedy="Give the history file that a run wrote."
        ) from error
    reports = [judge(history, CHECKS) for history in read(lines, str(file))]
    said = {report.verdict for report in reports}
    verdict = next(it for it in WORST_FIRST if it in said)
    emit(
        {"verdict": verdict, "services": [_as_json(report) for report in reports]},
        "\n\n".join(_text(report) for report in reports),
    )
    return {"violated": IntegrityError.exit_code, "unknown": WARNINGS, "held": None}[verdict]


def _as_json(report: Report) -> dict[str, object]:
    findings = [
        {"promise": it.name, "verdict": it.verdict, "detail": it.sentence, "lines": list(it.lines)}
        for it in report.findings
    ]
    return {
        "service": report.service,
        "verdict": report.verdict,
        "findings": findings,
        "sometimes": dict(report.sometimes),
    }


def _text(report: Report) -> str:
    ordered = sorted(report.findings, key=lambda it: WORST_FIRST.index(it.verdict))
    rows = [(it.name, it.verdict, it.sentence, ", ".join(map(str, it.lines))) for it in ordered]
    return f"{report.service}: {report.verdict}\n" + table(("PROMISE", "VERDICT", "WHAT", "LINES"), rows)
