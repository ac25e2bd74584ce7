"""The holder probe of a broker: for how long the present lease holder has not answered whether it still holds. Pure.

Invariant: only time during which this broker kept asking, on a machine that ran, counts as silence. Moments are seconds
of CLOCK_BOOTTIME of one boot; they are arguments, and none of this outlives the process, let alone the boot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from appliance.coordination.outcomes import LEASE_SECONDS_MAX
from appliance.trust.grant import Grant
from appliance.trust.holder_answer import HolderAnswer

GAP_SECONDS_MAX = 3.75
"""Between two questions. After a longer gap this broker may have been suspended or cut off, and starts to count
again."""
QUESTIONS_MAX = 64


@dataclass(frozen=True)
class HolderProbe:
    """The questions to the writer of the grant `statement`; `since` begins the silence, `last` is the last question.

    `open`: the moment of each question that was not answered, by its challenge. `lease_seconds`: for how long the lease
    of the holder was begun, as it said last; 0 while it has not said so.
    """

    service: str
    epoch: int
    holder_key: str
    statement: str
    since: float
    last: float
    open: Mapping[str, float] = field(default_factory=dict)
    lease_seconds: int = 0

    def asked(self, challenge: str, now: float) -> HolderProbe:
        """Another question, at `now`, just before it is sent."""
        steady = 0 <= now - self.last <= GAP_SECONDS_MAX
        kept = dict(list(self.open.items())[1 - QUESTIONS_MAX :]) if steady else {}
        return replace(self, since=self.since if steady else now, last=now, open={**kept, challenge: now})

    def answered(self, held: HolderAnswer, now: float) -> HolderProbe:
        """Count silence from `now` when `held` answers one of the questions; any other answer says nothing."""
        fits = (held.service, held.epoch, held.holder_key) == (self.service, self.epoch, self.holder_key)
        if not fits or held.challenge not in self.open:
            return self
        left = {challenge: moment for challenge, moment in self.open.items() if challenge != held.challenge}
        return replace(self, since=now, open=left, lease_seconds=min(held.lease_seconds, LEASE_SECONDS_MAX))

    def silence(self, now: float) -> float:
        """For how many seconds, by `now`, the holder has not answered; 0 when this broker stopped asking."""
        return now - self.since if 0 <= now - self.last <= GAP_SECONDS_MAX else 0.0


def begin_probe(present: Grant, challenge: str, now: float) -> HolderProbe:
    """The first question to the writer of `present`, at `now`, just before it is sent."""
    return HolderProbe(
        present.service, present.epoch, present.writer_key, present.statement, now, now, {challenge: now}
    )
