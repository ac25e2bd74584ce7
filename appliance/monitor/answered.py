"""A node's answer to `appliance --json status`, as another machine may believe it. Pure.

Nobody has checked the answer: a node speaks about itself only, its words are made printable and cut, what it
calls its state follows from the reasons that it gives, and facts that only programs read are left behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from appliance import strict_json
from appliance.errors import IntegrityError
from appliance.monitor.states import ORDER, Judged, Reason, worst_first
from appliance.monitor.status import Status
from appliance.units import MIB, printable

SCHEMA = 1
BYTES_MAX = 4 * MIB
"""Above what the fullest node says: a status names at most 100 files for each of its services."""
TEXT_MAX = 1000
NAME_MAX = 100


def read_status(raw: bytes, node: str) -> Status:
    """The status in `raw`, which the machine of `node` answered; raise IntegrityError for anything else."""
    try:
        values = strict_json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise IntegrityError("its answer is not readable JSON.", remedy=_look_there()) from error
    try:
        if values["schema"] != SCHEMA:
            raise IntegrityError("its answer has another schema.", remedy="Upgrade the older one of the two machines.")
        if values["node"] != node:
            said = _text(values["node"], NAME_MAX)
            remedy = "Compare the address in territory.yml, and its host key, with the machine."
            raise IntegrityError(f"the machine there identifies itself as {said}.", remedy=remedy)
        judged = tuple(sorted(map(_judged, values["judged"]), key=lambda it: ORDER.index(it.state)))
    except (KeyError, TypeError, ValueError) as error:
        raise IntegrityError("its answer is not the status of a node.", remedy=_look_there()) from error
    if [it.subject for it in judged if it.role == "node"] != [node]:
        raise IntegrityError("its answer says nothing of the node itself.", remedy=_look_there())
    return Status(node, judged)


def _judged(value: Mapping[str, Any]) -> Judged:
    subject, role = _text(value["subject"], NAME_MAX), _text(value["role"], NAME_MAX)
    found = Judged(subject, role, _text(value["summary"]), worst_first(_reasons(value["reasons"])), _facts(value))
    if found.state != value["state"]:
        raise ValueError("a state without its reason")
    return found


def _reasons(values: list[Mapping[str, Any]]) -> Iterator[Reason]:
    for it in values:
        state = ORDER[ORDER.index(it["state"])]
        yield Reason(state, _text(it["sentence"]), _text(it["remedy"]), _text(it["check"], NAME_MAX), foreign=True)


def _facts(value: Mapping[str, Any]) -> dict[str, object]:
    runs = value.get("agent_running")
    return {"agent_running": runs} if isinstance(runs, bool) else {}


def _text(value: Any, letters_max: int = TEXT_MAX) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    text = printable(value[:letters_max])
    return text if len(value) <= letters_max else f"{text}..."


def _look_there() -> str:
    return "Look on the node itself: `appliance status`."
