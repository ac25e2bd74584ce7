"""The proposals of a reason, as data for programs: what to type, what a person does, or what to wait for. Pure.

Only commands of our own sentences become data. The remedy of work that failed may have come from a peer, whose text
nobody should carry out unread: the agent tries that work again, so it is waited for, unless the text has what only
a person can do, in our own words. `why` is the question of the check, not the sentence.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping

from appliance.backup.vault.limits import RAISE_QUOTA
from appliance.monitor.checks import CHECKS
from appliance.monitor.states import TRIED_AGAIN, Reason

_COMMAND = re.compile(r"`((?:appliance|ansible-playbook) [^`]+)`( at its origin| there\b| at both)?")
_CONDITION = re.compile(r"(If|Only if|Once|Unless|When|While|To) ")
_WAITS = re.compile(r"(Nothing to do|It is retried|It is handed back|It is tested|The agent (sends|continues))")
_SENTENCE_ENDS = re.compile(r"[.;:]\s+(?=[A-Z])")
_ELSEWHERE: Mapping[tuple[str, ...], str] = {
    ("territory", "check"): "control machine",
    ("territory", "grant"): "key holder",
    ("territory", "plan"): "control machine",
    ("territory", "sign"): "key holder",
    ("node", "revoke"): "key holder",
    ("node", "collect"): "control machine",
    ("escrow", "create-key"): "key holder",
    ("escrow", "verify"): "key holder",
    ("act", "sign"): "operator",
}


def next_steps(reason: Reason) -> tuple[dict[str, object], ...]:
    """The proposals of `reason`, in its order: {argv, where, why} of a command, with `when` where it is to be typed in
    a certain case only; {act, where, why} of what a person does; {wait, where, why}.

    There is always one that holds in every case, but where nothing is proposed at all. Words in capitals, as FILE, are
    for who types it to fill in.
    """
    if reason.foreign:
        return (_of_a_peer(reason),)
    steps = tuple(_commands(reason))
    if any("when" not in it for it in steps) or not reason.remedy:
        return steps
    return (_step(reason, "wait" if _WAITS.match(reason.remedy) else "act", reason.remedy), *steps)


def _of_a_peer(reason: Reason) -> dict[str, object]:
    """Trying again helps nobody where the quota is full. A peer that lies about it makes a person look at it."""
    if RAISE_QUOTA in reason.sentence or RAISE_QUOTA in reason.remedy:
        return _step(reason, "act", RAISE_QUOTA)
    return _step(reason, "wait", TRIED_AGAIN)


def _step(reason: Reason, what: str, said: object, where: str = "this node") -> dict[str, object]:
    return {what: said, "where": where, "why": CHECKS[reason.check].question if reason.check in CHECKS else ""}


def _commands(reason: Reason) -> Iterator[dict[str, object]]:
    for found in _COMMAND.finditer(reason.remedy):
        try:
            argv = shlex.split(found[1])
        except ValueError:
            continue
        if "--watch" in argv:  # it shows what is waited for, and ends when a person ends it
            continue
        step = _step(reason, "argv", argv, (found[2] or "").strip() or _place(argv))
        when = _sentence_before(reason.remedy[: found.start()])
        yield {**step, "when": when} if _CONDITION.match(when) else step


def _place(argv: list[str]) -> str:
    return "control machine" if argv[0] == "ansible-playbook" else _ELSEWHERE.get(tuple(argv[1:3]), "this node")


def _sentence_before(text: str) -> str:
    """The sentence in which `text` ends, from its first word."""
    return _SENTENCE_ENDS.split(text)[-1].rstrip(" :,")
