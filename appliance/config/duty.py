"""The checks of `duty` in `territory.yml`: who is named must be there and must be reachable.

A week without a person is no mistake of the file, since time alone brings it: `territory check` tells of it.
"""

from __future__ import annotations

from collections.abc import Iterator

from appliance.config.explain import Path, unknown
from appliance.config.parts import Parts
from appliance.config.schema import AFTER_SECONDS_MAX, AFTER_SECONDS_MIN, DutyPart
from appliance.units import format_duration


def check_duty(parts: Parts) -> Iterator[tuple[Path, str]]:
    """A path and a sentence for each mistake."""
    if parts.duty is None:
        return
    part = parts.duty.part
    if part.rotation and not part.since:
        yield ("duty",), 'lacks "since", the ISO week in which the first person of the rotation begins: since: 2026-W49'
    if part.since and not part.rotation:
        yield ("duty", "since"), "is for a rotation, and there is none; remove the line, or add `rotation`."
    yield from _persons(parts, part)
    yield from _times(part)


def _persons(parts: Parts, part: DutyPart) -> Iterator[tuple[Path, str]]:
    for path, names in _named(part):
        if not names and path != ("duty", "rotation"):
            yield path, "names nobody; name a person, or remove the line so that the rotation counts."
        for index, name in enumerate(names):
            if name not in parts.names["people"]:
                yield (*path, index), unknown(name, parts.names["people"])
    reachable = {it.name for it in parts.people if it.part.addressees}
    on_duty = dict.fromkeys(name for _, names in _named(part) for name in names)
    for person in parts.people:
        if person.name in on_duty and person.name not in reachable:
            yield person.path, f'is on duty and lacks "addressees", as in: addressees: [{person.name}-mail]'


def _named(part: DutyPart) -> Iterator[tuple[Path, list[str]]]:
    yield ("duty", "rotation"), part.rotation
    for week, names in part.weeks.items():
        yield ("duty", "weeks", week), names


def _times(part: DutyPart) -> Iterator[tuple[Path, str]]:
    for name in ("next_after", "next_after_warning"):
        seconds = getattr(part, name)
        if not AFTER_SECONDS_MIN <= seconds <= AFTER_SECONDS_MAX:
            least, most = format_duration(AFTER_SECONDS_MIN), format_duration(AFTER_SECONDS_MAX)
            yield ("duty", name), f"is {format_duration(seconds)}; write a time from {least} to {most}."
