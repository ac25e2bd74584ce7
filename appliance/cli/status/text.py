"""A node's status as JSON values and as text; pure, the command only prints them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from appliance.errors import OK, WARNINGS, ApplianceError
from appliance.monitor.compare import Worse
from appliance.monitor.next_steps import next_steps
from appliance.monitor.states import SAID, Judged, Reason, State
from appliance.monitor.status import Status
from appliance.units import format_bytes, format_duration, printable

EXIT_CODES: dict[State, int] = {
    "ok": OK,
    "warning": WARNINGS,
    "unknown": ApplianceError.exit_code,
    "failed": ApplianceError.exit_code,
}
ROLES = {
    "written": "written here",
    "held": "held for others",
    "failover": "failover",
    "catalogue": "catalogue",
    "node": "this node",
}
_LEFT_OUT_SHOWN = 10


def status_json(status: Status) -> dict[str, Any]:
    return {
        "node": status.node,
        "state": status.state,
        "judged": [*map(judged_json, status.judged)],
    }


def judged_json(it: Judged) -> dict[str, Any]:
    shown = {"subject": it.subject, "role": it.role, "state": it.state, "summary": it.summary}
    return {**shown, "reasons": [reason_json(reason) for reason in it.reasons], **it.facts}


def reason_json(it: Reason) -> dict[str, Any]:
    """A reason, and what it proposes to type as data."""
    said = {"state": it.state, "sentence": it.sentence, "remedy": it.remedy, "check": it.check}
    return {**said, "next": list(next_steps(it))}


def worse_json(it: Worse) -> dict[str, Any]:
    return {
        "subject": it.judged.subject,
        "role": it.judged.role,
        "before": it.before,
        "now": it.judged.state,
        "why": worse_line(it),
    }


def worse_line(it: Worse) -> str:
    """One sentence: what was what, and why it is not any more."""
    told = " ".join(f"{printable(reason.sentence)} {reason.remedy}".rstrip() for reason in it.judged.reasons)
    return f"{it.judged.subject} ({ROLES.get(it.judged.role, it.judged.role)}) was {it.before}: {told}"


def status_text(status: Status) -> str:
    """One block for each thing judged; a catalogue that is well has nothing to say."""
    shown = [it for it in status.judged if it.role != "catalogue" or it.state != "ok"]
    width = max(len(it.subject) for it in shown)
    return "\n".join(line for it in shown for line in _block(it, width))


def _block(it: Judged, width: int) -> Iterator[str]:
    yield f"{it.state:8} {it.subject:{width}}  {ROLES.get(it.role, it.role)}: {it.summary}"
    margin = " " * 9
    for reason in it.reasons:
        yield f"{margin}{reason.state}: {printable(reason.sentence)} {reason.remedy}".rstrip()
    for line in _details(it):
        yield f"{margin}{line}"


def _details(it: Judged) -> Iterator[str]:
    facts = it.facts
    if facts.get("newest") and it.role == "written":
        age, rpo = format_duration(_number(facts["newest_age_seconds"])), format_duration(_number(facts["rpo_seconds"]))
        yield f"newest generation {facts['newest']}, {age} old (RPO {rpo}); {_next_run(facts['next_run_seconds'])}"
    left_out = facts.get("left_out")
    if isinstance(left_out, list) and left_out:
        yield f"left out of the last backup, {facts['left_out_count']}:"
        yield from (f"  {printable(item['path'])}: {printable(item['reason'])}" for item in left_out[:_LEFT_OUT_SHOWN])
    put_aside = facts.get("put_aside")
    if isinstance(put_aside, list) and put_aside:
        yield f"{len(put_aside)} put aside by moves, each of the size of the service: {', '.join(put_aside)}"
    trees = facts.get("put_aside_trees")
    if isinstance(trees, list) and trees:
        size = format_bytes(sum(tree["bytes"] for tree in trees))
        yield f"files that moves put aside, {size}: {', '.join(tree['folder'] for tree in trees)}"
    if it.role == "held" and facts:
        done = [(kind, facts[f"last_{kind}_seconds"]) for kind in ("exchange", "scrub", "thin", "check")]
        told = [f"{SAID.get(kind, kind)} {format_duration(_number(ago))} ago" for kind, ago in done if ago is not None]
        yield f"last {', '.join(told)}" if told else "not yet exchanged, scrubbed, pruned or checked"


def _next_run(seconds: object) -> str:
    if seconds is None:
        return "no run is planned here"
    return f"next run in {format_duration(_number(seconds))}" if seconds else "a run is due"


def _number(value: object) -> float:
    assert isinstance(value, int | float)
    return float(value)
