"""The conversation between a node and a broker: one line of JSON for each call and each answer. Pure.

Only the port's own values travel, each under its name; a field that is missing, unknown or of another type ends the
conversation with a sentence. Moments never travel: a lease counts by the clock of who renews it, from before it asked,
and the two machines' clocks have nothing in common.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, TypeGuard, get_args, get_type_hints

from appliance import strict_json
from appliance.coordination.port import (
    Alive,
    Claim,
    Ended,
    Intent,
    Lease,
    LeaseHolder,
    Lost,
    Moved,
    NoLeader,
    Owner,
    ServiceRecord,
    Taken,
)
from appliance.errors import ApplianceError, Busy, Forbidden, IntegrityError, NotFound, Refused, Unreachable, UsageError

FORMAT = 1
LINE_BYTES_MAX = 256 * 1024
ANSWER_BYTES_MAX = 4 * 1024 * 1024
"""A broker answers a heartbeat with all signed documents that concern the caller, and with the grant of each service
that has an address."""
_VALUES: Mapping[str, type] = {
    "alive": Alive,
    "claim": Claim,
    "ended": Ended,
    "holder": LeaseHolder,
    "holding": Lease,
    "intent": Intent,
    "moved": Moved,
    "noleader": NoLeader,
    "owner": Owner,
    "state": ServiceRecord,
}
_NAMES = {kind: name for name, kind in _VALUES.items()}
# The first that fits names a refusal; the last stands for all others.
_REFUSALS: Mapping[str, type[ApplianceError]] = {
    "lost": Lost,
    "busy": Busy,
    "forbidden": Forbidden,
    "refused": Refused,
    "usage": UsageError,
    "not-found": NotFound,
    "integrity": IntegrityError,
    "unreachable": Unreachable,
    "failed": ApplianceError,
}
_SENTENCE_MAX = 1000
_SECONDS_MAX = 3600


@dataclass(frozen=True)
class Call:
    """The call of a node: a method of the port with its arguments by name, each a value of the port, a text or a
    number.

    The broker answers within `seconds_max`, or not at all.
    """

    method: str
    arguments: Mapping[str, Any]
    seconds_max: float


def write_call(call: Call) -> bytes:
    arguments = {name: _plain(value) for name, value in call.arguments.items()}
    return _line({"format": FORMAT, "call": call.method, "arguments": arguments, "seconds_max": call.seconds_max})


def read_call(line: bytes) -> Call:
    """The call in `line`; raise IntegrityError for what is none, Refused for a newer format."""
    fields_ = _read(line)
    arguments = fields_.get("arguments")
    method, seconds_max = fields_.get("call"), fields_.get("seconds_max")
    if not isinstance(arguments, dict) or not isinstance(method, str) or not _is_time(seconds_max):
        raise IntegrityError("this is not a call to a broker.")
    return Call(method, {name: _value(value) for name, value in arguments.items()}, float(seconds_max))


def _is_time(value: object) -> TypeGuard[float]:
    """A caller may send numbers that no clock can count."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _SECONDS_MAX


def write_answer(answer: object) -> bytes:
    return _line({"format": FORMAT, "answer": _plain(answer)})


def write_refusal(error: ApplianceError) -> bytes:
    kind = next(name for name, it in _REFUSALS.items() if isinstance(error, it))
    told: dict[str, object] = {"what": error.what[:_SENTENCE_MAX], "remedy": error.remedy[:_SENTENCE_MAX]}
    if isinstance(error, Taken):
        kind, told["state"] = "taken", _plain(error.record)
    return _line({"format": FORMAT, "refused": kind, **told})


def read_answer(line: bytes) -> Any:
    """The value that a broker answered; raise the refusal that it sent instead."""
    fields_ = _read(line)
    if "refused" not in fields_:
        return _value(fields_.get("answer"))
    what, remedy = (str(fields_.get(name, ""))[:_SENTENCE_MAX] for name in ("what", "remedy"))
    if fields_["refused"] == "taken":
        record = _value(fields_.get("state"))
        if not isinstance(record, ServiceRecord):
            raise IntegrityError("the broker names no state.")
        raise Taken(what, record, remedy=remedy)
    raise _REFUSALS.get(str(fields_["refused"]), ApplianceError)(what, remedy=remedy)


def _line(values: Mapping[str, object]) -> bytes:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _read(line: bytes) -> dict[str, Any]:
    try:
        values = strict_json.loads(line)
    except (ValueError, RecursionError) as error:
        raise IntegrityError("the other side sent invalid JSON.") from error
    if not isinstance(values, dict):
        raise IntegrityError("the other side did not send an object.")
    if values.get("format") != FORMAT:
        what = f"the other side speaks format {values.get('format')!r}; this version speaks {FORMAT}."
        raise Refused(what, remedy="Upgrade the older node.")
    return values


def _plain(value: object) -> object:
    """`value` as JSON: an object of the port under its name, `sent` left out."""
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    name = _NAMES.get(type(value))
    if name is None:
        return value
    told = {field.name: _plain(getattr(value, field.name)) for field in fields(_VALUES[name]) if field.name != "sent"}
    return {"is": name, **told}


def _value(plain: Any) -> Any:
    """The inverse of `_plain`."""
    if isinstance(plain, str):  # nearly all are
        return plain
    if isinstance(plain, list):
        return tuple(_value(each) for each in plain)
    if not isinstance(plain, dict):
        return plain
    told = dict(plain)
    kind = _VALUES.get(str(told.pop("is", "")))
    if kind is None:
        raise IntegrityError(f"the other side sent an invalid value: {str(plain)[:100]}")
    hints = _hints(kind)
    if "sent" in hints:
        told["sent"] = 0.0
    if set(told) != set(hints):
        raise IntegrityError(
            f"{kind.__name__} has fields that this version does not know.", remedy="Upgrade this node."
        )
    values = {name: _value(each) for name, each in told.items()}
    for name, each in values.items():
        if type(each) not in (get_args(hints[name]) or (hints[name],)):
            raise IntegrityError(f'{kind.__name__} has a field "{name}" of another type.')
    return kind(**values)


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)
