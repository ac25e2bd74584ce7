"""An operator who knows nothing but what the software prints, and does exactly that until nothing is proposed.

What one answer proposes is done in its order. Of several answers those that go on at a box come first: a person walks
round the boxes once, and brings the key holder what all of them asked for.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable
from itertools import dropwhile
from typing import Protocol

from tests.integration.operator.printed import KEY_HOLDER, Proposal, Said, of_status, proposals, reasons_of

SUCCESSES_MAX = 2
"""A proposal that comes back after it was carried out so often leads nowhere."""
ROUNDS_MAX = 60
AGAIN_AFTER_LOOKS = 10
"""A line that was typed is not typed again before: much of what is still proposed then goes on by itself."""
TYPED_MAX = 60
AGAIN = "Try again when it has ended."
LOOKS_EVERY_SECONDS = 1.0


class Stuck(AssertionError):
    """The printed words lead nowhere: to a command that cannot be carried out, in a circle, or on for ever."""


class Places(Protocol):
    @property
    def nodes(self) -> Collection[str]: ...
    def type_at(self, proposal: Proposal) -> Said: ...
    def goes_on(self, name: str) -> Said: ...
    def acted(self, said: str) -> list[Proposal] | None: ...
    def is_seen(self, condition: str, place: str) -> bool: ...


class Operator:
    def __init__(self, places: Places, pause: Callable[[float], None] = time.sleep) -> None:
        self.places, self.pause = places, pause
        self._successes: Counter[Proposal] = Counter()
        self._looks, self._last = 0, dict[Proposal, int]()

    def begin(self, *found: Proposal) -> None:
        """Carry out what the pages say to begin with, and what that prints: it counts for no circle."""
        self._successes.clear()
        self.obey([found])
        self._successes.clear()

    def settle(self) -> None:
        """Look at every node and do what is proposed, round by round, until nothing is; raise Stuck otherwise."""
        said: list[object] = []
        self._successes.clear()
        for _ in range(ROUNDS_MAX):
            self._looks += 1
            found, waits = self.look()
            if not found and not waits:
                return
            said = [*found, *waits]
            asked = [typed for it in dict.fromkeys(waits) if (typed := self.places.acted(it)) is not None]
            fresh = [*asked, *(typed for answer in found if (typed := [*dropwhile(self._was_typed, answer)]))]
            self.obey(fresh)
            if not fresh:
                self.pause(LOOKS_EVERY_SECONDS)
        reasons = [it for name in self.places.nodes for it in reasons_of(self.places.goes_on(name))]
        raise Stuck(f"after {ROUNDS_MAX} looks it is still said: {said}; since: {reasons}")

    def _was_typed(self, it: Proposal) -> bool:
        """Return whether it was typed just now. What follows one that is typed again is typed again, too."""
        return self._looks - self._last.get(it, -AGAIN_AFTER_LOOKS) < AGAIN_AFTER_LOOKS

    def look(self) -> tuple[list[list[Proposal]], list[str]]:
        """The proposals of each node that has any, and what all of them wait for."""
        seen = [of_status(self.places.goes_on(name), name, self.places.nodes) for name in self.places.nodes]
        return [typed for typed, _ in seen if typed], [it for _, waits in seen for it in waits]

    def obey(self, found: Iterable[Iterable[Proposal]]) -> None:
        """Carry out what was found and what that prints in its turn.

        What was typed in this round is repeated only when something new was brought since: to a box what the key holder
        made, to the key holder the keys of a box.
        """
        answers, done = [deque(it) for it in found], set[tuple[Proposal, int]]()
        made = collected = 0
        while answers := [it for it in answers if it]:
            answer = next((it for it in answers if it[0].place != KEY_HOLDER), answers[0])
            it = answer.popleft()
            typed = it, collected if it.place == KEY_HOLDER else made
            if typed in done:
                continue
            done.add(typed)
            if len(done) > TYPED_MAX:
                raise Stuck(f"one command leads to the next without an end, at last {it}")
            answers.append(deque(self._carry_out(it)))
            made += it.place == KEY_HOLDER
            collected += bool(it.out)

    def _carry_out(self, it: Proposal) -> list[Proposal]:
        said = self.places.type_at(it)
        then = list(proposals(said, it.place, self.places.nodes, self.places.is_seen))
        if said.is_done:
            self._last[it] = self._looks
            self._successes[it] += 1
            if self._successes[it] > SUCCESSES_MAX:
                raise Stuck(f"it is proposed again and again: {it}")
        elif AGAIN in said.err:
            self.pause(LOOKS_EVERY_SECONDS)  # the agent does the same work just now; the next look shows what is left
        elif not then and not it.tried:
            raise Stuck(f"it cannot be carried out, {it}: {said.code}: {said.err}")
        return then
