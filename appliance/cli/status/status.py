"""`appliance status`: how this node is, the worst first, with what to type about it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click

from appliance.cli.arguments import FILE_TYPE, about_this_node, read_file
from appliance.cli.language.spoken import Voice, spoken
from appliance.cli.output import emit
from appliance.cli.status.text import EXIT_CODES, status_json, status_text, worse_json, worse_line
from appliance.errors import OK, ApplianceError, IntegrityError, UsageError
from appliance.monitor.compare import Subject, Worse, worse
from appliance.monitor.states import ORDER, State
from appliance.monitor.status import Status

WATCH_SECONDS = 5.0


@click.command()
@click.option(
    "--not-worse-than",
    "before",
    metavar="FILE",
    type=FILE_TYPE,
    help="The output of an earlier `appliance --json status`: exit with 4 if the agent is not running or anything is "
    "worse now, else with 0.",
)
@click.option("--watch", is_flag=True, help="Refresh every five seconds, until Ctrl-C.")
def status(before: Path | None, watch: bool) -> int:
    """Show how safe each service of this node is, how fresh its replicas for others are, and its own health.

    The worst comes first. Exits with 0 when all is well, 1 when something needs attention, 4 when something failed or
    is unknown. No other node is asked: this is what the node itself knows. `appliance doctor` shows each check.
    """
    if before is not None:
        if watch:
            raise UsageError("--watch and --not-worse-than cannot be combined.", remedy="Give one of them.")
        return _compare(before, _look())
    if watch:
        return _watch()
    found = _look()
    _show(found)
    return EXIT_CODES[found.state]


def _look() -> Status:
    """How the node is. The modules that look at it are loaded now: a person who asks for help, or mistypes, does not
    wait."""
    from appliance.cli.this_status import this_status

    return this_status()


def _show(found: Status) -> None:
    emit(status_json(found), about_this_node(spoken(lambda voice: status_text(found, voice))))


def _watch() -> int:
    """Show it again and again; Ctrl-C is how it ends, with the code of what was seen last."""
    code = OK
    try:
        while True:
            found = _look()
            code = EXIT_CODES[found.state]
            click.clear()  # does nothing where there is no terminal
            _show(found)
            time.sleep(WATCH_SECONDS)
    except KeyboardInterrupt:
        return code


def _compare(before: Path, found: Status) -> int:
    changed = worse(_earlier(before), found)
    emit(
        {**status_json(found), "worse": [worse_json(it) for it in changed]},
        about_this_node(spoken(lambda voice: _worse_text(found, changed, voice))),
    )
    return ApplianceError.exit_code if changed else OK


def _worse_text(found: Status, changed: tuple[Worse, ...], voice: Voice) -> str:
    return "\n".join(worse_line(it, voice) for it in changed) or voice.say(f"{found.node} is not worse than before.")


def _earlier(file: Path) -> dict[Subject, State]:
    """The state of each thing that was judged, in what `appliance --json status` said."""
    try:
        judged = json.loads(read_file(file))["judged"]
        return {(str(it["subject"]), str(it["role"])): ORDER[ORDER.index(it["state"])] for it in judged}
    except (ValueError, KeyError, TypeError) as error:
        remedy = "It must be what `appliance --json status` printed."
        raise IntegrityError("this is not the status of a node.", where=str(file), remedy=remedy) from error
