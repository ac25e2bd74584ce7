"""The plain model that judges a life: what was saved when, and where it must still be.

It knows true days and true contents, never a clock of a node, and decides nothing for the product.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from appliance.backup.retention import MONTH
from tests.integration.life.world import Broken, Content, Holder, Saved, Sealed

if TYPE_CHECKING:
    from tests.integration.life.life import Job, Life

MONTHS_DAYS = 11 * 28
GAP_DAYS = 62
CATCH_UP_DAYS = 45
"""After this many days without trouble every service is safe again."""
ARCHIVES_SLACK = 30
MONTHS_PROMISED = 11
DAYS_BETWEEN_LOOKS = 7


class Oracle:
    def __init__(self, life: Life) -> None:
        self.life = life
        self.quiet_since = 0
        self.confirmed_day = -1

    def _say(self, sentence: str) -> None:
        raise Broken(f"day {self.life.day}: {sentence}")

    # What the life tells as it happens

    def forgets(self, gone: Sequence[Saved]) -> None:
        """The writer is about to forget `gone`."""
        archives = self.life.writer.archives
        left = [it for it in archives if it not in gone]
        whole_left = [it for it in left if it.whole]
        whole = [it for it in archives if it.whole]
        if archives[-1] in gone:
            self._say("the newest archive is forgotten")
        if whole and whole[-1] in gone:
            self._say("the newest whole archive is forgotten")
        for saved in gone:
            if saved in [job.archive for job in self.life.jobs if not job.ended]:
                self._say(f"{saved.name} is forgotten, from which a restore has not ended")
            if saved.whole and self._is_of_the_last_days(saved, left):
                self._say(
                    f"{saved.name} of day {saved.day} is forgotten, {self.life.retention.daily} days are promised"
                )
        full = [it for it in archives if it.whole and all(it.content) and it.day > self.confirmed_day]
        if full and full[-1] in gone and not self.life.disk_full:
            self._say("the last archive with more than an empty mount point is forgotten")
        self._no_gap(whole, whole_left)

    def _is_of_the_last_days(self, saved: Saved, left: Sequence[Saved]) -> bool:
        later = {it.day for it in left if it.day >= saved.day}
        return len(later) < self.life.retention.daily and saved.day not in later

    def _no_gap(self, before: Sequence[Saved], left: Sequence[Saved]) -> None:
        """Of the last eleven months no two are without any whole archive, unless none was saved."""
        kept = [it.day for it in left]
        for saved in before:
            young = self.life.day - saved.day < MONTHS_DAYS
            if young and not any(abs(day - saved.day) <= GAP_DAYS for day in kept):
                self._say(f"nothing is left of the two months around day {saved.day}")

    def continues(self, job: Job, found: Saved | None) -> None:
        if found != job.archive:
            self._say(f"a restore that was cut on day {job.day} does not go on from {job.archive.name}")

    def moved(self, last: Sealed, base: Sealed) -> None:
        if base.newest.content != last.newest.content:
            self._say("a planned move loses what was acknowledged")

    def continued(self) -> None:
        self.quiet_since = self.life.day

    def confirmed(self) -> None:
        """An operator said that what went was meant to go."""
        self.confirmed_day = self.life.day

    # What is looked at each evening

    def look(self) -> None:
        life = self.life
        if self._in_trouble():
            self.quiet_since = life.day
        sealed = life.writer.sealed
        if life.is_safe(sealed):
            self._is_true(sealed)
        elif life.day - self.quiet_since > CATCH_UP_DAYS:
            self._say(f"not safe after {CATCH_UP_DAYS} quiet days: {self._why(sealed)}")
        # Where clocks were wrong, too much is kept rather than too little: twice as much at the most.
        promised = 2 * sum(vars(life.retention).values()) + ARCHIVES_SLACK + life.partial_runs + life.paused_runs
        if len(life.writer.archives) > promised:
            self._say(f"{len(life.writer.archives)} archives, where retention keeps {promised}")
        for holder in life.nodes.values():
            self._look_at(holder)

    def _in_trouble(self) -> bool:
        life = self.life
        faults = life.path_gone or life.path_empty or life.disk_full or life.power_off or life.clock_off
        faults = faults or life.times > 1
        return bool(faults or not all(it.reachable for it in life.nodes.values()))

    def _is_true(self, sealed: Sealed | None) -> None:
        """What status calls safe is at two holders with everything in it."""
        assert sealed is not None
        if not sealed.newest.whole:
            self._say("a partial backup is called safe")
        if any(not sealed.chunks <= it.refs.keys() for it in self.life.targets() if sealed.id in it.held):
            self._say("a receipt was given for what is not held")

    def _why(self, sealed: Sealed | None) -> str:
        there = {it.name: (it.used >> 30, it.quota >> 30) for it in self.life.targets()}
        return f"{sealed.id if sealed else None} at none of {there} (GiB used, allowed)"

    def _look_at(self, holder: Holder) -> None:
        if holder.used > holder.quota:
            self._say(f"{holder.name} holds more than its quota")
        for name, known in holder.headers.items():
            if self.life.age - known.received_age_seconds < self.life.lock and name not in holder.held:
                self._say(f"{holder.name} let generation {name} go, younger than the lock")
        if self.life.day % DAYS_BETWEEN_LOOKS == 0:
            self._look_at_months(holder)

    def _look_at_months(self, holder: Holder) -> None:
        """Of each month of the year before the lock in which a whole generation came, a whole one is held."""
        last = int(self.life.age - self.life.lock) // MONTH
        came = {it.received_age_seconds // MONTH for it in holder.headers.values() if it.whole}
        held = {
            holder.headers[name].received_age_seconds // MONTH for name in holder.held if holder.headers[name].whole
        }
        if lost := sorted(month for month in came - held if last - MONTHS_PROMISED < month < last):
            self._say(f"{holder.name} has nothing whole left of month {lost[0]}")

    # What a person finds who restores

    def restores(self, saved: Saved, got: Sequence[Content | None]) -> None:
        """A whole restore of `saved` gives each path as it was saved, or as the last archive before had it."""
        for index, part in enumerate(saved.content):
            before = [it.content[index] for it in self.life.writer.archives if it.number <= saved.number]
            expected = next((it for it in reversed(before) if it), None) if part is None else part
            if got[index] != expected:
                self._say(f"a restore of {saved.name} lacks path {index}, which an archive before it has")
