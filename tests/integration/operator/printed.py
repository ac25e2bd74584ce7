"""The proposals in what the software prints: `next` of status and doctor, lines that begin with Next or Then, and the
commands in the sentence of a refusal. Pure.

What is to be typed once every node has a bundle comes after the lines that bring it there.

A proposal for a certain case only is one when the person who reads it can tell: a service is new unless `begin` refuses
it. All others ("to see it", "when they answer") are left; a later look proposes what is still to be done.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

KEY_HOLDER = "key holder"
DESKS = {"key holder": KEY_HOLDER, "control machine": KEY_HOLDER, "operator": KEY_HOLDER}
"""One machine stands for the three: none of them is a node."""
LINE = re.compile(r"^(?:Next|Then)(?:, (?P<about>[^:]+))?: (?:[^`:]+: )?(?P<command>(?:appliance|/usr/sbin/sshd) .+)$")
QUOTED = re.compile(r"`(appliance [^`]+)`")
CERTAIN = re.compile(r"(if|to|once(?! every node has bundle )|when|while|with a shorter) ")
TOLD = (0, 1)
"""The exit codes of a command that did what was asked."""
LOOKS = {"status", "doctor"}


@dataclass(frozen=True)
class Proposal:
    """Type `argv` at `place`, and keep what it prints in the file `out` where that is named."""

    place: str
    argv: tuple[str, ...]
    out: str = ""
    tried: bool = False
    """For a certain case that the command itself knows: a refusal says that this is another case."""

    def __str__(self) -> str:
        return f"at {self.place}: {shlex.join(self.argv)}{f' > {self.out}' if self.out else ''}"


@dataclass(frozen=True)
class Said:
    """The answer of a command that was typed."""

    code: int
    out: str = ""
    err: str = ""

    @property
    def is_done(self) -> bool:
        return self.code in TOLD


def nothing_is_seen(condition: str, place: str) -> bool:
    return False


def proposals(
    said: Said, here: str, nodes: Collection[str], is_seen: Callable[[str, str], bool] = nothing_is_seen
) -> Iterator[Proposal]:
    """Return what a command that was typed at `here` says to type next, in its order.

    `is_seen`: whether a person at that place sees that a condition such as "if files are missing" holds.
    """
    if not said.is_done:
        yield from (_made(here, line) for line in QUOTED.findall(said.err))
        return
    for line in re.sub(r":\n +", ": ", said.err).splitlines():
        if found := LINE.match(line):
            about = found["about"] or "here"
            is_new = about.startswith("if ") and about.endswith(" is new")
            if is_new or not CERTAIN.match(about) or is_seen(about, here):
                for place in _places(about, here, nodes):
                    yield _made(place, found["command"], tried=is_new)


def of_status(said: Said, here: str, nodes: Collection[str]) -> tuple[list[Proposal], list[str]]:
    """The proposals in the `next` data of a node: what is to be typed, and what a person does or waits for."""
    if said.code not in (*TOLD, 4):
        return list(proposals(said, here, nodes)), []
    steps = [it for judged in json.loads(said.out)["judged"] for reason in judged["reasons"] for it in reason["next"]]
    typed = [it for it in steps if "argv" in it and "when" not in it and it["where"] in ("this node", *DESKS)]
    made = [Proposal(DESKS.get(it["where"], here), tuple(it["argv"])) for it in typed]
    return [it for it in made if it.argv[-1] not in LOOKS], [
        it.get("wait") or it["act"] for it in steps if "argv" not in it
    ]


def reasons_of(said: Said) -> list[str]:
    """The sentences of a node's status, for the person who reads about a failure."""
    judged = json.loads(said.out or "{}").get("judged", ())
    return [f"{it.get('subject')}: {reason.get('sentence')}" for it in judged for reason in it["reasons"]]


def _made(place: str, line: str, *, tried: bool = False) -> Proposal:
    command, _, out = line.partition(" > ")
    return Proposal(place, tuple(shlex.split(command)), out.strip(), tried)


def _places(about: str, here: str, nodes: Collection[str]) -> Collection[str]:
    if re.match(r"on (every|each) node", about):
        return nodes
    if "key holder" in about or "holder of the territory key" in about or "control machine" in about:
        return (KEY_HOLDER,)
    named = [it for it in nodes if re.fullmatch(rf"(on|at) {it}", about)]
    return named or (here,)
