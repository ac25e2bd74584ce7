"""How every node of a territory is, as text and as JSON values; pure, the command only prints them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from appliance.cli.language.spoken import AS_WRITTEN, Voice
from appliance.cli.status.text import judged_json, role_text, state_width
from appliance.errors import ApplianceError
from appliance.monitor.states import ORDER, Judged, Reason, State
from appliance.monitor.status import Status
from appliance.territory.model import Node
from appliance.units import format_count, format_duration

REASONS_SHOWN = 3


@dataclass(frozen=True)
class Row:
    """A node, the title of its site, and what it said of itself, or why it said nothing."""

    node: Node
    title: str
    found: Status | ApplianceError

    @property
    def state(self) -> State:
        return self.found.state if isinstance(self.found, Status) else "unknown"

    @property
    def judged(self) -> tuple[Judged, ...]:
        return self.found.judged if isinstance(self.found, Status) else ()

    @property
    def reasons(self) -> tuple[tuple[Judged, Reason], ...]:
        """Each reason with the thing that it is about, the worst first."""
        found = [(it, reason) for it in self.judged for reason in it.reasons]
        return tuple(sorted(found, key=lambda pair: ORDER.index(pair[1].state)))


def worst_first(rows: Iterable[Row]) -> list[Row]:
    """First by state, then by how much is wrong, then by name."""
    return sorted(rows, key=lambda it: (ORDER.index(it.state), -len(it.reasons), it.node.name))


def status_json(territory: str, rows: Sequence[Row], seconds: float) -> dict[str, Any]:
    return {
        "territory": territory,
        "state": rows[0].state,
        "seconds": round(seconds, 2),
        "answered": sum(isinstance(it.found, Status) for it in rows),
        "nodes": [_row_json(it) for it in rows],
    }


def _row_json(row: Row) -> dict[str, Any]:
    place = {"node": row.node.name, "site": row.node.site, "address": row.node.address, "port": row.node.port}
    said = {"error": "", "remedy": ""}
    if isinstance(row.found, ApplianceError):
        error = row.found
        said = {"error": str(ApplianceError(error.what, where=error.where)), "remedy": error.remedy}
    return {
        **place,
        "state": row.state,
        "answered": not said["error"],
        **said,
        "judged": [*map(judged_json, row.judged)],
    }


def status_text(rows: Sequence[Row], seconds: float, *, every_reason: bool, voice: Voice = AS_WRITTEN) -> str:
    """A block for each node: what it says of itself, then what is not well; the last line counts. A node of another
    version may say what the catalogue lacks: that is quoted."""
    width = max(len(it.node.name) for it in rows)
    lines = [line for it in rows for line in _block(it, width, None if every_reason else REASONS_SHOWN, voice)]
    if any(it.reasons for it in rows):
        lines.append(voice.say("Type a remedy on the node that names it, as root; `appliance doctor` there says more."))
    return "\n".join([*lines, _count(rows, seconds, voice)])


def _block(row: Row, width: int, shown: int | None, voice: Voice) -> Iterator[str]:
    column, colon = state_width(voice), voice.say(":")
    margin = " " * (column + 1)
    yield f"{voice.say(row.state):{column}} {row.node.name:{width}}  {row.title}{colon} {_summary(row, voice)}"
    for judged, reason in row.reasons[:shown]:
        of = "" if judged.role == "node" else f"{judged.subject} ({role_text(judged.role, voice)}){colon} "
        told = " ".join(voice.quote(it) for it in (reason.sentence, reason.remedy) if it)
        yield f"{margin}{voice.say(reason.state)}{colon} {of}{told}"
    if shown is not None and (more := len(row.reasons) - shown) > 0:
        yield f"{margin}{voice.say(f'and {more} more: --all shows them')}"


def _summary(row: Row, voice: Voice) -> str:
    if isinstance(row.found, ApplianceError):
        return voice.quote(str(row.found))
    own = next(it.summary for it in row.judged if it.role == "node")
    return ", ".join([voice.quote(own), *map(voice.say, _counts(row))])


def _counts(row: Row) -> Iterator[str]:
    for role, verb in (("written", "writes"), ("held", "holds")):
        there = [it for it in row.judged if it.role == role]
        if there:
            well = sum(it.state == "ok" for it in there)
            yield f"{verb} {len(there)}" + ("" if well == len(there) else f" ({well} well)")


def _count(rows: Sequence[Row], seconds: float, voice: Voice) -> str:
    answered = sum(isinstance(it.found, Status) for it in rows)
    states = Counter(it.state for it in rows)
    told = ", ".join(f"{states[state]} {voice.say(state)}" for state in ORDER if states[state])
    of_all = f"{answered} of {format_count(len(rows), 'node')} answered in {format_duration(seconds)}"
    return f"{voice.say(of_all)}{voice.say(':')} {told}."
