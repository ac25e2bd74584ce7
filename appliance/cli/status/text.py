"""A node's status as JSON values and as text; pure, the command only prints them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from appliance.cli.language.spoken import AS_WRITTEN, Voice
from appliance.errors import OK, WARNINGS, ApplianceError
from appliance.monitor.compare import Worse
from appliance.monitor.next_steps import next_steps
from appliance.monitor.states import ORDER, SAID, Judged, Reason, State
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
_SENTENCES_OF_OTHERS, _REMEDIES_OF_OTHERS = ("disk-health", "keys", "readable"), ("branch", "holder")
"""The checks that pass on what another program said, such as smartd, or an error as it was."""


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


def worse_line(it: Worse, voice: Voice = AS_WRITTEN) -> str:
    """One sentence: what was what, and why it is not any more."""
    was = voice.say(f"was {it.before}") + voice.say(":")
    told = " ".join(reason_text(reason, voice) for reason in it.judged.reasons)
    return f"{it.judged.subject} ({role_text(it.judged.role, voice)}) {was} {told}"


def status_text(status: Status, voice: Voice = AS_WRITTEN) -> str:
    """One block for each thing judged; a catalogue that is well has nothing to say."""
    shown = [it for it in status.judged if it.role != "catalogue" or it.state != "ok"]
    width = max(len(it.subject) for it in shown)
    return "\n".join(line for it in shown for line in _block(it, width, voice))


def state_width(voice: Voice) -> int:
    """How wide the column of states is."""
    return 1 + max(len(voice.say(state)) for state in ORDER)


def reason_text(it: Reason, voice: Voice = AS_WRITTEN) -> str:
    """The sentence and the remedy; what may be a peer's or another program's is quoted in another language."""
    say = voice.quote if it.check in _SENTENCES_OF_OTHERS else voice.say
    then = voice.quote if it.foreign or it.check in _REMEDIES_OF_OTHERS else voice.say
    return " ".join([say(printable(it.sentence)), *([then(it.remedy)] if it.remedy else [])])


def role_text(role: str, voice: Voice = AS_WRITTEN) -> str:
    return voice.say(ROLES.get(role, role))


def _block(it: Judged, width: int, voice: Voice) -> Iterator[str]:
    column, colon = state_width(voice), voice.say(":")
    about = f"{it.subject:{width}}  {role_text(it.role, voice)}"
    yield f"{voice.say(it.state):{column}} {about}{colon} {voice.say(it.summary)}"
    margin = " " * (column + 1)
    for reason in it.reasons:
        yield f"{margin}{voice.say(reason.state)}{colon} {reason_text(reason, voice)}"
    yield from (f"{margin}{line}" for line in _details(it, voice))


def _details(it: Judged, voice: Voice) -> Iterator[str]:
    facts, say = it.facts, voice.say
    if facts.get("newest") and it.role == "written":
        age, rpo = format_duration(_number(facts["newest_age_seconds"])), format_duration(_number(facts["rpo_seconds"]))
        yield say(f"newest generation {facts['newest']}, {age} old (RPO {rpo}); {_next_run(facts['next_run_seconds'])}")
    left_out = facts.get("left_out")
    if isinstance(left_out, list) and left_out:
        yield say(f"left out of the last backup, {facts['left_out_count']}:")
        shown = ((printable(item["path"]), printable(item["reason"])) for item in left_out[:_LEFT_OUT_SHOWN])
        yield from (f"  {path}{say(':')} {voice.quote(reason)}" for path, reason in shown)
    put_aside = facts.get("put_aside")
    if isinstance(put_aside, list) and put_aside:
        yield say(f"{len(put_aside)} put aside by moves, each of the size of the service: {', '.join(put_aside)}")
    trees = facts.get("put_aside_trees")
    if isinstance(trees, list) and trees:
        size = format_bytes(sum(tree["bytes"] for tree in trees))
        yield say(f"files that moves put aside, {size}: {', '.join(tree['folder'] for tree in trees)}")
    if it.role == "held" and facts:
        done = [(kind, facts[f"last_{kind}_seconds"]) for kind in ("exchange", "scrub", "thin", "check")]
        told = [f"{SAID.get(kind, kind)} {format_duration(_number(ago))} ago" for kind, ago in done if ago is not None]
        yield say(f"last {', '.join(told)}" if told else "not yet exchanged, scrubbed, pruned or checked")


def _next_run(seconds: object) -> str:
    if seconds is None:
        return "no run is planned here"
    return f"next run in {format_duration(_number(seconds))}" if seconds else "a run is due"


def _number(value: object) -> float:
    assert isinstance(value, int | float)
    return float(value)
