"""The plain model that judges a life: what was saved when, and where it must still be.

It knows true days and true contents, never a clock of a node, and decides nothing for the product.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from appliance.backup.chain.retention import MONTH, YEAR, Generation
from appliance.trust.generation import GenerationId
from appliance.units import DAY
from tests.integration.life.rules import INGEST_DAYS
from tests.integration.life.world import BEGIN_UTC, COPIES, LOCK, SERVICE, Broken, Content, Holder, Saved, Sealed

if TYPE_CHECKING:
    from tests.integration.life.life import Life
    from tests.integration.life.restoring import Line, Restore

MONTHS_DAYS = 11 * 28
GAP_DAYS = 62
CATCH_UP_DAYS = 45
"""After this many days without trouble every service is safe again, and after those that the rest of it takes."""
ARCHIVES_SLACK = 30
MONTHS_PROMISED = 11
DAYS_BETWEEN_LOOKS = 7
REPLACED_DAYS = 30
FORMER_DAYS = 30
"""Beyond the lock, until a node that holds the service no more has nothing of it."""
LAST_SECONDS = LOCK + 10 * YEAR


def _came(generation: Generation) -> int:
    """When it came from its writer, here or to the holder that handed it on, whose ageing clock is right."""
    return generation.relayed[0] if generation.relayed else generation.received_age_seconds


class Oracle:
    def __init__(self, life: Life) -> None:
        self.life = life
        self.safe_by = CATCH_UP_DAYS
        self.confirmed_day = -1
        self.last: dict[str, GenerationId] = {}
        self.used: dict[str, int] = {}
        self.former: dict[str, int] = {}
        self.months_given_up = defaultdict[str, set[int]](set)
        self.boxes: list[int] = []
        self.broken = False

    def _say(self, sentence: str) -> None:
        self.broken = True
        raise Broken(f"day {self.life.day}: {sentence}")

    # What the life tells as it happens

    def forgets(self, gone: Sequence[Saved]) -> None:
        """The writer is about to forget `gone`."""
        archives = self.life.writer.archives
        gone_names = {it.name for it in gone}
        left = [it for it in archives if it.name not in gone_names]
        whole_left = [it for it in left if it.whole]
        whole = [it for it in archives if it.whole]
        if archives[-1] in gone:
            self._say("the newest archive is forgotten")
        if whole and whole[-1] in gone:
            self._say("the newest whole archive is forgotten")
        for saved in gone:
            if any(it.archive is saved and it.job.state == "planned" for it in self.life.restores.all):
                self._say(f"{saved.name} is forgotten, from which a restore has not ended")
            if saved.whole and self._is_of_the_last_days(saved, left):
                self._say(
                    f"{saved.name} of day {saved.day} is forgotten, {self.life.retention.daily} days are promised"
                )
        full = [it for it in archives if it.whole and all(it.content) and it.day > self.confirmed_day]
        if full and full[-1] in gone and not self.life.disk_full:
            self._say("the last archive with more than an empty mount point is forgotten")
        self._no_gap(gone, whole_left)

    def _is_of_the_last_days(self, saved: Saved, left: Sequence[Saved]) -> bool:
        later = {it.day for it in left if it.day >= saved.day}
        return len(later) < self.life.retention.daily and saved.day not in later

    def another_box(self) -> None:
        """The home's box is replaced; nobody knows how the ageing clock of the next one goes with that of the last."""
        self.boxes.append(self.life.day)

    def _no_gap(self, gone: Sequence[Saved], left: Sequence[Saved]) -> None:
        """No two of the last eleven months are without any whole archive, unless none was saved. Where dates contradict
        each other and boxes come as often as months, no clock tells months any more (record 54)."""
        recent = sum(self.life.day - day < MONTHS_DAYS for day in self.boxes)
        if self.life.boots and recent > self.life.retention.monthly:
            return
        kept = [it.day for it in left]
        for saved in gone:
            young = saved.whole and self.life.day - saved.day < MONTHS_DAYS
            if young and not any(abs(day - saved.day) <= GAP_DAYS for day in kept):
                self._say(f"nothing is left of the two months around day {saved.day}")

    def lets_go(self, holder: Holder, name: GenerationId) -> None:
        """A holder is about to drop a generation."""
        if self.life.age - holder.received(name) < self.life.lock:
            self._say(f"{holder.name} let generation {name} go, younger than the lock")

    def prunes_early(self, holder: Holder) -> None:
        """A full quota is about to let something go."""
        if holder.used > self._quota(holder):
            self._say(f"{holder.name} lets history go for a quota below what it holds")

    def gives_up(self, holder: Holder, names: Collection[GenerationId]) -> None:
        """A node that holds the service no more is about to give up what others have."""
        self.months_given_up[holder.name] |= {_came(holder.headers[name]) // MONTH for name in names}
        others = [it for it in self.life.nodes.values() if it is not holder and it.name != self.life.writer.node]
        for name in names:
            having = [it for it in others if name in it.held or (name in it.headers and name not in it.given_up)]
            if len(having) < COPIES:
                self._say(f"{holder.name} gave generation {name} up, which {len(having)} others have")
        if names and sum(bool(it.newest) and max(it.held) >= max(holder.held) for it in others) < COPIES:
            self._say(f"{holder.name} gave up the last copies of what is newest")

    def _quota(self, holder: Holder) -> int:
        return self.life.town.limits(holder.name).quota

    def continues(self, line: Line, found: Restore | None) -> None:
        """A person types `line`, perhaps again."""
        begun = next((it for it in self.life.restores.all if it.unended and it.line.same_as(line)), None)
        if begun is not found:
            self._say(f"a restore that was cut on day {begun.day if begun else 0} does not go on when typed again")
        if begun and begun.job.state == "planned" and begun.archive not in self.life.writer.archives:
            self._say(f"a restore that was cut on day {begun.day} finds its archive {begun.archive.name} no more")

    def puts(self, restore: Restore, index: int) -> None:
        """A restore is about to put a path somewhere."""
        restore.stood[index] = self.life.content[index]
        for other in self.life.restores.all:
            there = other.unended and other.put and index in other.brings
            if there and other is not restore and other.line.folder == restore.line.folder:
                self._say(f"a restore of {restore.archive.name} comes among the files of one that has not ended")

    def takes_back(self, restore: Restore) -> None:
        """A restore was undone or given up."""
        for index in restore.put if not restore.line.folder else ():
            if restore.stood[index] not in (self.life.content[index], *restore.aside):
                self._say(f"a restore of {restore.archive.name} is taken back, and what it replaced is not there")

    def forgets_replaced(self, over: Sequence[Restore]) -> None:
        if any(it.ended_day is None or self.life.day - it.ended_day < REPLACED_DAYS for it in over):
            self._say("what a restore replaced is gone, and could not be undone for a month")

    def moved(self, last: Sealed, base: Sealed) -> None:
        if base.newest.content != last.newest.content:
            self._say("a planned move loses what was acknowledged")

    def declined(self) -> None:
        """The voters grant the service to nobody."""
        if not self.life.town.unknown:
            self._say("the voters believe no grant, and the key holder was told that he had been shown all of them")

    def voted(self, writing: int) -> None:
        """The voters granted the service on, while `writing` was its newest epoch."""
        if self.life.town.replaced != {writing}:
            self._say(f"the voters replace {self.life.town.replaced}, while epoch {writing} is being written")

    def granted(self, epoch: int, before: int) -> None:
        if epoch <= before:
            self._say(f"epoch {epoch} is granted after epoch {before}")

    def renamed(self, signed: bool) -> None:
        """A rename was signed, or refused; whatever people call the service, it is the one that was saved."""
        if not signed:
            self._say("a service may not be renamed")
        self._is_the_same()

    def refuses(self, refused: bool, what: str) -> None:
        if not refused:
            self._say(f"{what} is signed")
        self._is_the_same()

    def _is_the_same(self) -> None:
        bundle, name = self.life.town.bundle, self.life.town.name
        if bundle.territory.services.keys() != {SERVICE} or bundle.former.services:
            self._say(f"{name} is a new service, and its history is that of another one that left")
        if {bundle.first_name(name), bundle.first_name(SERVICE)} != {SERVICE}:
            self._say(f"nothing of what was saved is found under the name {name}")

    def continued(self) -> None:
        """There was trouble until now. A day takes `INGEST_DAYS` of change and brings one of its own."""
        sealed = self.life.writer.sealed
        lacking = max((it.lacks(sealed).bit_count() for it in self.life.targets()), default=0) if sealed else 0
        self.safe_by = self.life.day + CATCH_UP_DAYS + lacking // (INGEST_DAYS - 1)

    def confirmed(self) -> None:
        """An operator said that what went was meant to go."""
        self.confirmed_day = self.life.day

    def drills(self, name: str) -> None:
        """A drill restores `name`."""
        archives = self.life.writer.archives
        best = next((it for it in reversed(archives) if it.whole), archives[-1])
        if name != best.name:
            self._say(f"a drill restores {name}, where {best.name} is the newest whole one")

    def left(self) -> None:
        """The service leaves the plan: what each holder has of it that is whole and newest."""
        whole = {it.name: [name for name in it.held if it.headers[name].whole] for it in self.life.nodes.values()}
        self.last = {name: max(held) for name, held in whole.items() if held}

    def look_afterwards(self) -> None:
        """The last whole copy is there for ten years after its lock; then all is gone, and named until it is."""
        life = self.life
        assert life.left_day is not None
        left_at = BEGIN_UTC + life.left_day * DAY
        for holder in life.nodes.values():
            last = self.last.get(holder.name)
            if last and last not in holder.held and life.age < holder.headers[last].received_age_seconds + LAST_SECONDS:
                self._say(f"{holder.name} let the last whole generation go of a service that left")
            if holder.held and life.age > life.left_day * DAY + life.lock + 10 * YEAR + MONTH:
                self._say(f"{holder.name} holds a service for ever that left on day {life.left_day}")
            if holder.held and BEGIN_UTC + life.age > life.rules.remembered(left_at, life.lock):
                self._say(f"{holder.name} holds a service that left, and the bundle names it no more")

    # What is looked at each evening

    def look(self) -> None:
        life = self.life
        if self._in_trouble():
            self.continued()
        sealed = life.writer.sealed
        if life.is_safe(sealed):
            self._is_true(sealed)
        elif life.day > self.safe_by:
            self._say(f"not safe after {CATCH_UP_DAYS} quiet days and more: {self._why(sealed)}")
        # Where clocks were wrong, too much is kept rather than too little: twice as much at the most.
        promised = 2 * sum(vars(life.retention).values()) + ARCHIVES_SLACK + life.partial_runs + life.paused_runs
        if len(life.writer.archives) > promised:
            self._say(f"{len(life.writer.archives)} archives, where retention keeps {promised}")
        for holder in life.nodes.values():
            self._look_at(holder)

    def _in_trouble(self) -> bool:
        life = self.life
        faults = life.path_gone or life.path_empty or life.disk_full or life.power_off or life.clock_off
        faults = faults or life.times > 1 or life.town.unknown or life.short_quota
        return bool(faults or not all(it.reachable for it in life.nodes.values()))

    def _is_true(self, sealed: Sealed | None) -> None:
        """A backup that status calls safe is at two replica nodes with everything in it."""
        assert sealed is not None
        if not sealed.newest.whole:
            self._say("a partial backup is called safe")
        if any(sealed.chunks & ~it.refs for it in self.life.targets() if sealed.id in it.held):
            self._say("a receipt was given for what is not held")

    def _why(self, sealed: Sealed | None) -> str:
        there = {it.name: (it.used >> 30, self._quota(it) >> 30) for it in self.life.targets()}
        return f"{sealed.id if sealed else None} at none of {there} (GiB used, allowed)"

    def _look_at(self, holder: Holder) -> None:
        used, before = holder.used, self.used.get(holder.name, 0)
        if used > self._quota(holder) and used > before:
            self._say(f"{holder.name} takes more than its quota")
        self.used[holder.name] = used
        if self.life.day % DAYS_BETWEEN_LOOKS == 0:
            self._look_at_months(holder)
            self._look_at_former(holder)

    def _look_at_former(self, holder: Holder) -> None:
        """A node that holds the service no more has nothing of it some time after the others have it all."""
        life = self.life
        bound = {life.writer.node, *life.town.aims(), *life.town.bundle.terms(SERVICE).replica_nodes}
        if not holder.held or holder.name in bound or life.day < self.safe_by:
            self.former.pop(holder.name, None)
        elif life.day - self.former.setdefault(holder.name, life.day) > life.lock // DAY + FORMER_DAYS:
            self._say(f"{holder.name} keeps its copy for ever, which is for others to hold")

    def _look_at_months(self, holder: Holder) -> None:
        """A whole generation is held of each month of the year before the lock in which one came."""
        last = int(self.life.age - self.life.lock) // MONTH
        headers = holder.headers
        came = {_came(it) // MONTH for it in headers.values() if it.whole}
        came -= self.months_given_up[holder.name]  # what comes again has the month in which it came to its giver
        held = {_came(headers[name]) // MONTH for name in holder.held if headers[name].whole}
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
