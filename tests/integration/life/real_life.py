"""The events of a town between its evenings (`real_evenings.py`): each operation is a method, and ends with some."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from appliance.backup.vault.maintenance.act_effects import quota_bytes
from appliance.backup.vault.replicas import replica_of
from appliance.backup.writer import writer
from appliance.errors import NoSpace, NotFound, Refused, Unreachable
from appliance.node.acts import accept_act
from appliance.restore.unended import unended
from appliance.units import DAY, GIB
from tests.integration.life.real_evenings import CALM_EVENINGS, Evenings, Job
from tests.integration.life.real_town import Killed, full, killed_at
from tests.integration.life.world import Broken
from tests.worlds.vaults import HOLDER, ORIGIN, SERVICE, SPARE, STANDBY

STEPS_OF_A_RUN, STEPS_OF_A_RESTORE = 60, 14


class RealLife(Evenings):
    """Everything that may happen."""

    # Ordinary days

    def an_ordinary_time(self) -> None:
        self.evenings(self.draw.randint(1, 3), calm=True)

    def a_holiday(self) -> None:
        """The box is off for some days; its ageing clock stands still meanwhile."""
        seconds = self.draw.randint(3, 12) * DAY
        for name, clock in self.town.vaults.clocks.items():
            if name == self.writer:
                clock.jump_wall(seconds)
                clock.reboot()
            else:
                clock.advance(seconds)
        self.evenings(1)

    def a_path_is_gone(self) -> None:
        with self._aside(self.draw.choice(self.town.vaults.sources)):
            self.evenings(self.draw.randint(1, 2))

    def a_mount_point_is_empty(self) -> None:
        source = self.town.vaults.sources[1]
        with self._aside(source):
            source.mkdir()
            self.evenings(self.draw.randint(1, 2))
            if self.draw.random() < 0.5:
                code, _, told = self.town.type_at(self.writer, "backup", "confirm", SERVICE, "--yes")
                if code != 0:
                    raise Broken(f"an empty mount point cannot be confirmed: {told}")
                self.oracle.confirmed_day = self.day
            source.rmdir()
        self.evenings(1)

    @contextlib.contextmanager
    def _aside(self, source: Path) -> Iterator[None]:
        aside = source.with_name(f"{source.name} unplugged")
        source.rename(aside)
        try:
            yield
        finally:
            aside.rename(source)

    def a_clock_is_off(self) -> None:
        clock = self.town.vaults.clocks[self.writer]
        self.clock_off = self.draw.choice((-10.0, -1.0, -0.1, 0.1, 1.0)) * 365 * DAY
        clock.reboot()
        clock.jump_wall(self.clock_off)
        self.evenings(self.draw.randint(1, 3))
        clock.jump_wall(-self.clock_off)
        self.clock_off = 0.0
        self.evenings(1)

    def holders_are_cut_off(self) -> None:
        away = self.draw.choice(({STANDBY}, {HOLDER}, {STANDBY, HOLDER, SPARE}))
        with self._silent(*away - {self.writer}):
            self.evenings(self.draw.randint(1, 3))

    def a_line_breaks(self) -> None:
        self.town.world.cut = {self.draw.choice((STANDBY, HOLDER)): self.draw.randint(1, 30_000)}
        self.evenings(1)
        self.town.world.cut = {}

    @contextlib.contextmanager
    def _silent(self, *names: str) -> Iterator[None]:
        before = self.town.world.down
        self.town.world.down = before | {*names}
        try:
            yield
        finally:
            self.town.world.down = before

    def the_power_goes_in_a_run(self) -> None:
        self._dusk()
        content = self._content()
        with contextlib.suppress(Killed), killed_at(self.draw.randint(1, STEPS_OF_A_RUN)):
            writer.run(self._here(), SERVICE)
        self.town.vaults.clocks[self.writer].reboot()
        self._settle(content, cut=True)
        self.calm = 0
        self._run()
        self._tidy()
        self._night()

    def the_disk_is_full(self) -> None:
        if not self.tight or self.writer != ORIGIN:
            return self.an_ordinary_time()
        self._dusk()
        content = self._content()
        with full(self.town.vaults.layout(ORIGIN).root):
            for act in (writer.run, writer.prune):
                with contextlib.suppress(NoSpace, Refused):
                    act(self._here(), SERVICE)
        self._settle(content, cut=True)
        self.evenings(1)
        return None

    # Restores and rooms

    def a_restore_is_cut_and_typed_again(self) -> None:
        words, to = self._words("")
        job = Job(self.oracle.archives[-1], list(self.oracle.archives), to, words)
        with contextlib.suppress(Killed), killed_at(self.draw.randint(1, STEPS_OF_A_RESTORE)):
            self.town.type_at(self.writer, *words)
        begun = any(unended(self._here().service(SERVICE).restores))
        self.job = job if begun else None
        self.evenings(self.draw.randint(1, 2))
        if begun:
            self._end(job)
        shutil.rmtree(to, ignore_errors=True)
        self.job = None

    def _end(self, job: Job) -> None:
        code, told, why = self.town.type_at(self.writer, *job.words)
        if code not in job.saved.exit_codes or told["archive"] != job.saved.archive:
            raise Broken(f"a restore of {job.saved.archive} that was cut does not go on ({code}): {told} {why}")
        self._compare(job.saved, job.before, job.to, filled=True)

    def a_share_is_full(self) -> None:
        """The quota is less than what is held; an act of a person raises it, for longer than until the next time."""
        self.town.vaults.sign(quota_bytes=1)
        holder = self.town.node(HOLDER)
        is_raised = quota_bytes(holder, holder.bundle.terms(SERVICE)) > 1
        self.evenings(1)
        if not is_raised and self.oracle.receipts.keys() & {(HOLDER, self._newest())}:
            raise Broken("a full quota took a generation")
        for name in (ORIGIN, STANDBY, HOLDER, SPARE):
            start = self.town.vaults.clocks[name].now()
            accept_act(self.town.node(name), self.town.vaults.act("quota", SERVICE, bytes=GIB, start=start))
        self.evenings(CALM_EVENINGS, calm=True)
        self.town.vaults.sign(quota_bytes=GIB)

    # Moves

    def the_home_is_lost_for_a_while(self) -> None:
        if self.writer != ORIGIN or not self._offered():
            return self.an_ordinary_time()
        with self._silent(ORIGIN, *self.draw.choice(((), (HOLDER,)))):
            self._continue(STANDBY, self.town.fetch(STANDBY))
            self.evenings(self.draw.randint(1, 2))
        self._must_not_write(ORIGIN)
        self._move(ORIGIN)
        return None

    def _must_not_write(self, name: str) -> None:
        """Its holders know a newer history than it has."""
        with contextlib.suppress(Refused):
            writer.run(self.town.node(name), SERVICE)
            self.oracle.counters()
            raise Broken(f"{name} writes on, though its holders know more")

    def a_planned_move(self) -> None:
        self._move(STANDBY if self.writer == ORIGIN else ORIGIN)

    def _move(self, to: str) -> None:
        """Everything is saved and brought; a holder that falls silent then may stop the move, and lose nothing."""
        self._dusk()
        self._run()
        last = self._newest()
        silent = {*self.draw.choice(((), (HOLDER,), (SPARE,)))}
        with self._silent(*silent):
            try:
                base = self.town.fetch(to, required=last)
            except (Unreachable, NotFound):
                return self.evenings(1)
            if base != last:
                raise Broken(f"a planned move of {last} goes on from {base}")
            self._continue(to, base)
        return self.evenings(1)

    def _continue(self, to: str, base: str) -> None:
        self.oracle.continues(base, self._offered(to))
        self.town.adopt(to)
        self.writer, self.job = to, None
        self.oracle.has([it.name for it in self.town.borg(to).archives()], tidied=False)

    def _offered(self, *besides: str) -> list[str]:
        """The generations at the nodes that answer."""
        answer = {ORIGIN, STANDBY, HOLDER, SPARE} - self.town.world.down | {*besides}
        stored = [it for name in answer for it in replica_of(self.town.node(name), SERVICE).stored()]
        last = [self._newest()] if self.writer not in self.town.world.down and self.oracle.sealed else []
        return sorted({it.name for it in stored if it.held} | {*last})

    def an_image_is_put_back(self) -> None:
        """The home's disk is that of some evenings ago."""
        if self.writer != ORIGIN or self.tight:
            return self.an_ordinary_time()
        root = self.town.vaults.layout(ORIGIN).root
        image = root.with_name("image")
        shutil.copytree(root, image, symlinks=True)
        self.evenings(self.draw.randint(1, 2), calm=True)
        shutil.rmtree(root)
        image.rename(root)
        self.town.vaults.clocks[ORIGIN].reboot()
        self._must_not_write(ORIGIN)
        self._continue(ORIGIN, self.town.fetch(ORIGIN))
        return self.evenings(1)


type Operation = Callable[[RealLife], None]

OPERATIONS: tuple[Operation, ...] = (
    RealLife.an_ordinary_time,
    RealLife.a_holiday,
    RealLife.a_path_is_gone,
    RealLife.a_mount_point_is_empty,
    RealLife.a_clock_is_off,
    RealLife.holders_are_cut_off,
    RealLife.a_line_breaks,
    RealLife.the_power_goes_in_a_run,
    RealLife.the_disk_is_full,
    RealLife.a_restore_is_cut_and_typed_again,
    RealLife.a_share_is_full,
    RealLife.the_home_is_lost_for_a_while,
    RealLife.a_planned_move,
    RealLife.an_image_is_put_back,
)
