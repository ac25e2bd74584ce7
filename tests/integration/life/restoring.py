"""Restores of a life: typed, cut, typed again, given up, undone, several at once; and what stands in place meanwhile.

With which job a line goes on, which one is in another's way, which archives they need and how long what was replaced is
kept is the product's own. A path comes into place at once here, and a job that is cut after its first path has the rest
still to come.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from appliance.restore.job import UNENDED, Job, State, Typed
from appliance.restore.unended import asked_for
from tests.integration.life.world import PATHS, Content, Saved

if TYPE_CHECKING:
    from tests.integration.life.life import Life

type Upto = Literal["planned", "kept", "done"]
type Ending = Literal["typed again", "given up", "undone"]
IN_PLACE = Path("/")


@dataclass(frozen=True)
class Line:
    """The line that a person types: the newest or a certain archive, all paths or one, in place or to a folder."""

    newest: bool
    archive: str
    path: int | None
    folder: str = ""

    def same_as(self, other: Line) -> bool:
        """Whether both are the same words; the newest may be another archive by now."""
        return self == (replace(other, archive=self.archive) if self.newest else other)

    @property
    def asked(self) -> str:
        path = "" if self.path is None else PATHS[self.path]
        return asked_for(path, archive=None if self.newest else self.archive)

    @property
    def paths(self) -> tuple[str, ...]:
        return () if self.path is None else (PATHS[self.path].strip("/"),)

    @property
    def target(self) -> Path:
        return Path(self.folder) if self.folder else IN_PLACE


@dataclass
class Restore:
    """`job` as the product keeps it. `brings`: by index of the path, what is to come; `put`: what came already. `kept`:
    what stood there when the first of it was put; it comes back. `aside`: what else stood there later, or when it was
    taken back. `stood`: what did stand there, as the oracle noted it."""

    job: Job
    line: Line
    archive: Saved
    day: int
    brings: dict[int, Content]
    put: dict[int, Content] = field(default_factory=dict)
    kept: dict[int, Content] = field(default_factory=dict)
    aside: list[Content] = field(default_factory=list)
    stood: dict[int, Content] = field(default_factory=dict)
    ended_day: int | None = None

    @property
    def unended(self) -> bool:
        return self.job.state in UNENDED


class Restores:
    """The restores of the machine that writes now; with another machine they are gone."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.all: list[Restore] = []
        self.begun = 0

    @property
    def unended(self) -> list[Job]:
        return [it.job for it in self.all if it.unended]

    def line(self, draw: int, path: int | None, folder: str = "") -> Line:
        """For the newest archive, by that word, or for the one that `draw` chooses, by its name."""
        archives = self.life.writer.archives
        return Line(draw == 0, archives[-1 - draw % len(archives)].name, path, folder)

    def type(self, line: Line, upto: Upto = "done") -> Restore | None:
        """Type `line`, and cut what it does there; None where it is refused."""
        archives = self.life.writer.archives
        archive = next((it for it in archives if it.name == line.archive), archives[-1])
        archive = archives[-1] if line.newest else archive
        job = self.life.rules.job_of(self.unended, line, archive.name)
        begun = next((it for it in self.all if it.job is job), None)
        self.life.oracle.continues(line, begun)
        if self.life.rules.in_the_way([it for it in self.unended if it is not job], line, begun.job if begun else None):
            return None
        restore = begun or self._plan(line, archive)
        self._run(restore, upto)
        return restore

    def _plan(self, line: Line, archive: Saved) -> Restore:
        content = self.life.rules.restored(self.life.writer.archives, archive)
        chosen = range(len(PATHS)) if line.path is None else (line.path,)
        brings = {index: part for index in chosen if (part := content[index])}
        typed, in_place = Typed(line.asked, ("restore",)), not line.folder
        self.begun += 1
        name = f"{self.begun:06d}"
        job = Job(name, archive.name, line.paths, line.target, in_place, "planned", 0, 0, 0.0, typed=typed)
        self.all.append(Restore(job, line, archive, self.life.day, brings))
        return self.all[-1]

    def _run(self, restore: Restore, upto: Upto) -> None:
        if upto == "planned":
            return
        if restore.job.in_place:
            for index in restore.brings.keys() - restore.kept.keys():
                restore.kept[index] = self.life.content[index]
        self._is(restore, "kept")
        left = [index for index in restore.brings if index not in restore.put]
        for index in left if upto == "done" else left[:1]:
            self.life.oracle.puts(restore, index)
            restore.put[index] = restore.brings[index]
            if restore.job.in_place:
                self._set(restore, index, restore.brings[index])
        if upto == "done":
            self._is(restore, "done")

    def give_up(self, restore: Restore) -> None:
        if restore.unended:
            self._take_back(restore, "given-up")

    def undo(self, restore: Restore) -> None:
        if restore.job.state == "done" and restore.job.in_place:
            self._take_back(restore, "undone")

    def _take_back(self, restore: Restore, state: State) -> None:
        for index in restore.put if restore.job.in_place else ():
            self._set(restore, index, restore.kept[index])
        self.life.oracle.takes_back(restore)
        self._is(restore, state)

    def _set(self, restore: Restore, index: int, content: Content) -> None:
        if self.life.content[index] not in (restore.kept[index], content):
            restore.aside.append(self.life.content[index])
        self.life.content[index] = content

    def _is(self, restore: Restore, state: State) -> None:
        ended = None if state in UNENDED else int(self.life.age)
        restore.ended_day = None if state in UNENDED else self.life.day
        restore.job = replace(restore.job, state=state, ended_age_seconds=ended)

    def expire(self) -> None:
        """Forget replaced files some time after the restore ended."""
        over = [it for it in self.all if self.life.rules.is_over(it.job, self.life.age)]
        if over:
            self.life.oracle.forgets_replaced(over)
            self.all = [it for it in self.all if it not in over]

    def end(self, line: Line, ending: Ending) -> None:
        """End what `line` began, as a person does; a restore that has ended is undone."""
        restore = next((it for it in reversed(self.all) if it.line == line), None)
        if ending != "given up":
            restore = self.type(line) if restore and restore.unended else restore
        if restore and ending == "given up":
            self.give_up(restore)
        if restore and ending == "undone":
            self.undo(restore)

    def leave_machine(self) -> None:
        """Another one writes from now on; what was restored there stays there."""
        self.all.clear()
