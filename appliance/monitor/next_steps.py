"""The commands that a reason proposes, as data for programs: argv, where, and why. Pure.

Only commands of our own sentences become data. The remedy of work that failed may have come from a peer, whose text
nobody should carry out unread, so it proposes nothing here; and `why` is the question of the check, not the sentence.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping

from appliance.monitor.checks import CHECKS
from appliance.monitor.states import Reason

_COMMAND = re.compile(r"`(appliance [^`]+)`")
_ELSEWHERE: Mapping[tuple[str, ...], str] = {
    ("territory", "grant"): "key holder",
    ("territory", "sign"): "key holder",
    ("node", "revoke"): "key holder",
    ("node", "collect"): "control machine",
    ("act", "sign"): "operator",
}


def next_steps(reason: Reason) -> tuple[dict[str, object], ...]:
    """{argv, where, why} of each command that `reason` proposes, in its order. Words in capitals, as FILE, are for who
    types it to fill in."""
    return () if reason.foreign else tuple(_steps(reason))


def _steps(reason: Reason) -> Iterator[dict[str, object]]:
    why = CHECKS[reason.check].question if reason.check in CHECKS else ""
    for line in _COMMAND.findall(reason.remedy):
        try:
            argv = shlex.split(line)
        except ValueError:
            continue
        yield {"argv": argv, "where": _ELSEWHERE.get(tuple(argv[1:3]), "this node"), "why": why}
