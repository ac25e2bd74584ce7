"""The answers of etcd's JSON gateway, as values and named failures. Pure.

A field that is absent is zero, false or empty: a keepalive without TTL is a lease that has ended. An error is an object
or only a text, at the top or under "error", and a line of a stream may be wrapped in "result".
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from appliance.coordination.keys import Entry
from appliance.errors import ApplianceError, IntegrityError

Answer = Mapping[str, Any]
NO_LEADER = "no leader"
UNKNOWN, DEADLINE_EXCEEDED, NOT_FOUND, FAILED_PRECONDITION, UNAVAILABLE = 2, 4, 5, 9, 14
_ELSEWHERE = (DEADLINE_EXCEEDED, UNAVAILABLE)


class Rejected(ApplianceError):
    """The voter answered with an error; `code` is gRPC's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"etcd answers: {message or f'error {code}'}.")
        self.code = code
        self.message = message

    @property
    def is_for_another(self) -> bool:
        """Whether another voter may do better: this one has no majority or took too long."""
        return self.code in _ELSEWHERE


@dataclass(frozen=True)
class Gone:
    """A key that was removed, by somebody or with its lease, at `revision`."""

    key: bytes
    revision: int


@dataclass(frozen=True)
class Outcome:
    """The result of a transaction: whether its comparisons held, at which `revision` of the store, and the entries it
    read."""

    held: bool
    revision: int
    entries: tuple[Entry, ...]


def parse(line: bytes) -> Answer:
    """The answer in `line`; raise Rejected for an error, IntegrityError for what is no answer."""
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _odd("is not readable JSON") from error
    if not isinstance(answer, dict):
        raise _odd("is not an object")
    if "error" in answer or "code" in answer:
        raise _rejected(answer)
    result = answer.get("result", answer)
    if not isinstance(result, dict):
        raise _odd("is not an object")
    return result


def number(answer: Answer, name: str) -> int:
    """The whole number `name`, written as text or not; 0 when it is absent."""
    try:
        return int(answer.get(name, 0))
    except (ValueError, TypeError) as error:
        raise _odd(f'has no number in its field "{name}"') from error


def revision(answer: Answer) -> int:
    return number(part(answer, "header"), "revision")


def raw(answer: Answer, name: str) -> bytes:
    """The bytes in the field `name`; none when it is absent."""
    return _decoded(answer.get(name, ""), name)


def raws(answer: Answer, name: str) -> tuple[bytes, ...]:
    """The bytes of each in the list `name`; none when it is absent."""
    found = answer.get(name, [])
    if not isinstance(found, list):
        raise _odd(f'has no list in its field "{name}"')
    return tuple(_decoded(each, name) for each in found)


def part(answer: Answer, name: str) -> Answer:
    """The object in the field `name`; empty when it is absent."""
    found = answer.get(name, {})
    if not isinstance(found, dict):
        raise _odd(f'has no object in its field "{name}"')
    return found


def items(answer: Answer, name: str) -> list[Answer]:
    """The objects in the list `name`; none when it is absent."""
    found = answer.get(name, [])
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise _odd(f'has no list in its field "{name}"')
    return found


def entries(answer: Answer) -> tuple[Entry, ...]:
    """The keys of a range."""
    return tuple(_entry(each) for each in items(answer, "kvs"))


def outcome(answer: Answer) -> Outcome:
    """Return the outcome of a transaction."""
    found = [entry for response in items(answer, "responses") for entry in entries(part(response, "response_range"))]
    return Outcome(answer.get("succeeded") is True, revision(answer), tuple(found))


def events(answer: Answer) -> Iterator[Entry | Gone]:
    """The changes that a line of a watch tells, in their order."""
    for event in items(answer, "events"):
        entry = _entry(part(event, "kv"))
        yield Gone(entry.key, entry.revision) if event.get("type") == "DELETE" else entry


def _decoded(value: Any, name: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (ValueError, TypeError) as error:
        raise _odd(f'has no base64 in its field "{name}"') from error


def _entry(value: Answer) -> Entry:
    return Entry(raw(value, "key"), raw(value, "value"), number(value, "mod_revision"), number(value, "lease"))


def _rejected(answer: Answer) -> Rejected:
    error = answer.get("error")
    described = error if isinstance(error, dict) else answer
    code = described.get("code", described.get("grpc_code", 0))
    message = described.get("message", error)
    return Rejected(code if isinstance(code, int) else 0, str(message or "")[:200])


def _odd(what: str) -> IntegrityError:
    return IntegrityError(f"the answer of etcd {what}.", remedy="Check that etcd 3.5 listens at this voter.")
