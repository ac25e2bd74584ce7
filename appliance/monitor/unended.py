"""The sentences on restores that were cut, or wait for something, and that nobody has ended or given up. Pure.

Until then pruning keeps their archives, and no other restore writes to the same place.
"""

from __future__ import annotations

from collections.abc import Iterator

from appliance.monitor.states import Reason
from appliance.monitor.view import Now, Unended, View
from appliance.units import DAY, format_duration

UNENDED_SECONDS_MAX = 3 * DAY
"""A restore that is at work ends in hours; a weekend passes before somebody looks at one that was cut."""


def unended_reasons(view: View, now: Now) -> Iterator[Reason]:
    for it in view.unended:
        age = _age(it, now)
        if age > UNENDED_SECONDS_MAX:
            what = f"the restore {it.job} of {it.service} began {format_duration(age)} ago and has not finished."
            yield Reason("warning", what, _remedy(it), "restore")


def _age(it: Unended, now: Now) -> float:
    return now.wall - it.began if it.began_age is None else now.age - it.began_age


def _remedy(it: Unended) -> str:
    end = f"finish it here: `{it.end}`" if it.end else "see the command that finishes it here: `appliance restore jobs`"
    return f"Unless it is running, {end}, or give it up here: `{it.give_up}`"
