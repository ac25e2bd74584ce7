"""The life itself: what each evening does, what people do, and what ordinary misfortune does. See `world.py`."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Sequence

from appliance.backup.chain.retention import Drop
from appliance.backup.writer.schedule import Due, due
from appliance.clock import utc_text
from appliance.territory.model import Retention, Service
from appliance.trust.generation import GenerationId
from appliance.units import DAY
from tests.integration.life.exchanging import exchange, spared
from tests.integration.life.oracle import Oracle
from tests.integration.life.restoring import Restores
from tests.integration.life.rules import Rules
from tests.integration.life.town import NAMES, Town
from tests.integration.life.world import (
    BEGIN_UTC,
    CHUNK_BYTES,
    CHUNKS,
    EVENING,
    HOLDING,
    HOME,
    LOCK,
    PATHS,
    SCHEDULE,
    SERVICE,
    STANDBY,
    TIDY_FROM,
    Content,
    Holder,
    Saved,
    Sealed,
    Writer,
    lowest,
    union,
)

RETENTION = Retention(hourly=24, daily=14, weekly=8, monthly=12, yearly=0)
CHANGED_A_DAY = 1
THIN_EVERY_DAYS = 7
"""Holders prune each day; pruning is most of what a life costs here, and what it keeps does not hang on how often."""

THIN_AFTERWARDS_DAYS = 61
AFTERWARDS_DAYS = 11 * 366


class Life:
    """`rules` decide; `seed` draws what changes. Operations are methods; each may be called at any time."""

    def __init__(self, rules: Rules, seed: int, *, retention: Retention = RETENTION, lock: int = LOCK) -> None:
        self.rules, self.retention, self.lock = rules, retention, lock
        self.draw = random.Random(seed)
        self.day = self.generations = self.boots = self.machines = self.partial_runs = self.paused_runs = 0
        self.next_chunk = 2 * CHUNKS
        self.content: list[Content] = [(1 << CHUNKS) - 1, (1 << 2 * CHUNKS) - (1 << CHUNKS)]
        self.path_gone = self.path_empty = self.disk_full = self.power_off = False
        self.clock_off = 0.0
        self.times = 1
        self.restores = Restores(self)
        self.branches: list[Saved] = []
        self.change = CHANGED_A_DAY * CHUNK_BYTES
        size = 2 * CHUNKS * CHUNK_BYTES
        quota = rules.quota(size, self.change, lock, retention)
        self.nodes = {name: Holder(name) for name in HOLDING}
        self.short_quota = False
        self.left_day: int | None = None
        plan = Service(
            SERVICE,
            HOME,
            "files",
            paths=PATHS,
            standbys=(STANDBY,),
            size_bytes=size,
            change_bytes_per_day=self.change,
            quota_bytes=quota,
            schedule=SCHEDULE,
            lock_seconds=lock,
            retention=retention,
        )
        self.town = Town(rules, plan, lambda: BEGIN_UTC + self.age)
        self.writer = Writer(HOME, self.town.present.epoch)
        self.oracle = Oracle(self)
        self.live(1)

    @property
    def age(self) -> float:
        """The ageing clock of each node: nobody can set it."""
        return self.day * DAY + EVENING

    @property
    def wall(self) -> float:
        return BEGIN_UTC + self.age + self.clock_off

    # Evenings

    def live(self, days: int) -> None:
        """`days` pass as they do: work, a backup in the evening, tidying, and what holders do by themselves."""
        for _ in range(days):
            self.day += 1
            self._change()
            if not self.power_off:
                self._evening()
            for holder in self.nodes.values():
                self._prune_early(holder)
            if self.day % THIN_EVERY_DAYS == 0:
                self.restores.expire()
                exchange(self)
                for holder in self.nodes.values():
                    self._thin(holder)
            self.oracle.look()

    def _change(self) -> None:
        """A day's work: some pieces of a path are replaced."""
        for _ in range(CHANGED_A_DAY * self.times):
            path = self.draw.randrange(len(PATHS))
            before = self.content[path]
            upto = lowest(before, 1 + self.draw.randrange(CHUNKS))
            self.content[path] = before ^ 1 << upto.bit_length() - 1 | 1 << self.next_chunk
            self.next_chunk += 1

    def _evening(self) -> None:
        writer = self.writer
        if isinstance(due(SCHEDULE, writer.last_run_wall, self.wall, "UTC"), Due):
            self._run()
        self._push()
        if writer.runs_since_tidy and self.generations >= TIDY_FROM:
            self._tidy()
            self._push()

    def _run(self) -> None:
        """Save what can be read and seal it; a full disk stops both, and has old archives go."""
        writer = self.writer
        writer.last_run_wall = self.wall
        if self.disk_full:
            self._tidy()
            return
        content: list[Content | None] = list(self.content)
        if self.path_gone:
            content[1] = None
        elif self.path_empty:
            content[1] = 0
        number = (writer.epoch, writer.sequence + 1)
        name = f"docs-a-{number[0]}.{number[1]}-{utc_text(self.wall)}-{self.day:06d}"
        clock, boot = f"{writer.node} {self.machines}", str(self.boots)
        saved = Saved(name, number, self.wall, self.age, clock, boot, self.day, tuple(content))
        writer.archives.append(saved)
        writer.runs_since_tidy += 1
        writer.sizes = self.rules.measured(writer.sizes, saved)
        self.partial_runs += not saved.whole
        self._seal()

    def _seal(self) -> None:
        writer = self.writer
        writer.sequence += 1
        self.generations += 1
        digest = f"{writer.epoch:06x}{writer.sequence:010x}{self.day:048x}"
        chunks = union(saved.chunks for saved in writer.archives)
        identity = GenerationId(writer.epoch, writer.sequence, digest)
        writer.sealed = Sealed(identity, writer.sealed, tuple(writer.archives), chunks)

    def _tidy(self) -> None:
        """Old archives go, but not while the source has shrunk and there is room."""
        writer = self.writer
        writer.runs_since_tidy = 0
        if writer.sizes.shrunken and not self.disk_full:
            self.paused_runs += 1
            return
        pinned = self.rules.pinned(self.restores.unended)
        left = self.rules.keep(writer.archives, self.retention, pinned)
        if len(left) < len(writer.archives):
            self.oracle.forgets([it for it in writer.archives if it.name not in left])
            writer.archives = [saved for saved in writer.archives if saved.name in left]
            if self.rules.tidy_seals:
                self._seal()
                self.disk_full = False

    # Holders

    def targets(self) -> tuple[Holder, ...]:
        """The nodes that must hold what the present writer makes; a spare steps in for a replica node that writes."""
        return tuple(self.nodes[name] for name in self.town.aims())

    def _push(self) -> None:
        sealed = self.writer.sealed
        for holder in self.targets() if sealed else ():
            if holder.reachable and sealed.id not in holder.held and self.town.takes(holder.name):
                self._offer(holder, sealed)

    def _offer(self, holder: Holder, sealed: Sealed) -> None:
        """One push: refused where the share is full, in parts where it is more than today's."""
        if holder.base_epoch != sealed.id.epoch:
            holder.base, holder.base_epoch = (holder.used if holder.held else 0), sealed.id.epoch
        lacking = holder.lacks(sealed)
        seeding, size = not holder.held, lacking.bit_count() * CHUNK_BYTES
        limits = self.town.limits(holder.name)
        if not self.rules.fits(holder, limits, size, False):
            return
        taken = lowest(lacking, self.rules.today(holder, limits, self.age, size) // CHUNK_BYTES)
        holder.partial |= taken
        holder.book = holder.book.with_taken(taken.bit_count() * CHUNK_BYTES, seeding)
        if taken == lacking:
            holder.publish(sealed, self.age)

    def _prune_early(self, holder: Holder) -> None:
        limits = self.town.limits(holder.name)
        gone = self.rules.early_pruned(holder, limits, self.age, self.change, self.lock) if holder.held else None
        if gone:
            self.oracle.prunes_early(holder)
            holder.early_pruned_age = self.age
            self._let_go(holder, [gone])

    def _thin(self, holder: Holder) -> None:
        """Remove what its own rules let go, and what others have in its place."""
        if not holder.held:
            return
        others_have = spared(self, holder)
        decisions = self.rules.thin(holder.known(), int(self.age), self.lock, self.left_day is None)
        going = [it.id for it in decisions if isinstance(it, Drop) or it.id in others_have]
        going = [name for name in going if self.age - holder.received(name) >= self.lock]
        given_up = others_have.intersection(going)
        self.oracle.gives_up(holder, given_up)
        self._let_go(holder, going)
        if given_up:
            holder.given_up |= given_up
            holder.asked.clear()  # it comes again where it must hold the service once more

    def _let_go(self, holder: Holder, names: Sequence[GenerationId]) -> None:
        for name in names:
            self.oracle.lets_go(holder, name)
        if names:
            holder.drop(names)

    # What a person reads and does

    def is_safe(self, sealed: Sealed | None) -> bool:
        """Whether status calls `sealed` safe: whole, at the promised number of holders."""
        if sealed is None or not self.rules.says_whole(sealed.newest):
            return False
        return all(sealed.id in holder.held for holder in self.targets())

    def restore_some(self, draw: int) -> None:
        archives = self.writer.archives
        if archives:
            saved = archives[-1 - draw % len(archives)]
            self.oracle.restores(saved, self.rules.restored(archives, saved))

    def drill(self) -> None:
        """Restore at the standby, to see whether all would come."""
        if self.writer.archives:
            self.oracle.drills(self.rules.drilled(self.writer.archives))

    def leave(self) -> None:
        """The plan names the service no more, which nobody writes from then on; its holders care for it to the end."""
        self.left_day = self.day
        self.oracle.left()
        while self.day - self.left_day < AFTERWARDS_DAYS:
            self.day += THIN_AFTERWARDS_DAYS
            for holder in self.nodes.values():
                self._thin(holder)
            self.oracle.look_afterwards()

    def confirm(self) -> None:
        self.writer.sizes = self.writer.sizes.confirmed()
        self.oracle.confirmed()

    # Misfortune

    def during(self, days: int, fault: str) -> None:
        setattr(self, fault, True)
        self.live(days)
        setattr(self, fault, False)

    def change_more(self, times: int, days: int) -> None:
        self.times = times
        self.live(days)
        self.times = 1

    def cut(self, days: int, holders: Iterable[Holder]) -> None:
        cut_off = list(holders)
        for holder in cut_off:
            holder.reachable = False
        self.live(days)
        for holder in cut_off:
            holder.reachable = True

    def restart(self, clock_off: float) -> None:
        """The power came back, and the clock shows what it likes."""
        self.boots += 1
        self.clock_off = clock_off

    # Moves

    def take_over(self) -> None:
        """The home is lost for a while; its standby goes on from the newest that it and its neighbours hold."""
        offered = self._offered()
        if self.writer.node == HOME and offered:
            self.branches += [it for it in self.writer.archives if it.number > offered.newest.number]
            self._continue(STANDBY, offered, released=False)

    def move(self, to: str, *, away: str = "", silent: str = "") -> None:
        """A planned move: everything saved, brought, then let go; refused when the next writer would lack something.

        `away`: a node that takes no push meanwhile; `silent`: one that answers no more once the service was let go.
        """
        writer = self.writer
        if to == writer.node or self.power_off or self.disk_full or self.path_gone:
            return
        if away:
            self.nodes[away].reachable = False
        self._change()  # what was written since the last evening was acknowledged, too
        self._run()
        self._push()
        if away:
            self.nodes[away].reachable = True
        last = writer.sealed
        has = {it.name for it in self.nodes.values() if last and last.id in it.held}
        if last is None or not self.rules.synced(has, writer.node, to):
            return
        offered = self._offered(besides=silent, at=to)
        if offered and self.rules.goes_on(last.id, offered.id):
            self.oracle.moved(last, offered)
            self._continue(to, offered, released=True)

    def replace_home(self) -> None:
        """The home's box is stolen; another one takes its place, from the newest that anybody holds."""
        offered = self._offered()
        if self.writer.node == HOME and offered and self.town.replace(HOME, NAMES):
            self.machines += 1
            self.oracle.another_box()
            self.restores.leave_machine()
            self._continue(HOME, offered, released=False)

    def replace_voter(self, name: str, asked: Collection[str], *, insists: bool) -> None:
        """A voter's box, and what it held for others, is replaced while another node writes."""
        if name != self.writer.node and self.town.replace(name, asked, insists=insists) and name in self.nodes:
            self.nodes[name] = Holder(name)
            self.oracle.continued()  # years of copies come in daily parts

    def confirm_grants(self) -> None:
        """A holder says that it does not believe what was pushed, and the key holder does what it says."""
        if self.town.unknown:
            self.town.confirm()

    def _offered(self, besides: str = "", at: str = "") -> Sealed | None:
        """The newest generation that a holder has which answers, or the node `at` itself; not `besides`."""
        there = [it for it in self.nodes.values() if it.name == at or (it.reachable and it.name != besides)]
        return max((it.newest for it in there if it.newest), key=lambda it: it.id, default=None)

    def _continue(self, node: str, base: Sealed, *, released: bool) -> None:
        highest, writing = self.town.highest, self.town.present.epoch
        grant = self.town.grant(node, released)
        if grant is None:
            self.oracle.declined()
            grant = self.town.by_key(node)
        else:
            self.oracle.voted(writing)
        self.oracle.granted(grant.epoch, highest)
        self.town.takes(node)  # the history that it adopts brings its grants along
        if node != self.writer.node:
            self.restores.leave_machine()
        self.writer = Writer(node, grant.epoch, list(base.archives), base, 0, self.writer.last_run_wall)
        self.disk_full = False
        self.oracle.continued()
