"""`appliance survey`: the two figures of territory.yml that a town does not know, measured; it needs no node."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import click

from appliance.backup.survey import looks as kept
from appliance.backup.survey.estimate import COVERED_DAYS_MIN, Draft, covered_days, draft
from appliance.backup.survey.looks import Look
from appliance.backup.survey.walk import Scope, Seen, look, open_folders
from appliance.cli.output import LINE_EVERY_SECONDS, emit, say
from appliance.cli.territory.guesses import survey_line
from appliance.clock import Clock, SystemClock, utc_seconds
from appliance.errors import OK, WARNINGS, UsageError
from appliance.units import DAY, HOUR, as_typed, format_count, format_duration, printable

WAIT_SECONDS_MAX = 60.0
"""A PC that slept does not count that time: its wall clock is asked again each minute."""
SLACK_DAYS = 0.25
DAYS_MAX = 31
AT_NOON = "30 12 * * *"


@click.command()
@click.argument(
    "folders", metavar="FOLDER...", nargs=-1, required=True, type=click.Path(path_type=Path, readable=False)
)
@click.option(
    "--days",
    metavar="N",
    type=click.IntRange(1, DAYS_MAX),
    help="Stay, look once a day, and print the figures after N days; 7 for a week. It continues where it ended.",
)
@click.option(
    "--exclude",
    metavar="PATTERN",
    multiple=True,
    help="Leave out what the service excludes, as in territory.yml: '*.tmp', 'cache/*'. May be repeated.",
)
@click.option("--record", is_flag=True, help="Look once, remember it and end: for a line of cron that types it daily.")
def survey(folders: tuple[Path, ...], days: int | None, exclude: tuple[str, ...], record: bool) -> int:
    """Measure folders: their size and what changes in a day, as territory.yml asks for them.

    All FOLDERs together are one service. Without an option it looks once, changes nothing, and guesses the change of a
    day from the times of files. With --days or --record it remembers a look a day, and after a week no figure is a
    guess. It is for a PC or a node, and any account that may read the folders.
    """
    if days and record:
        raise UsageError("--days and --record cannot be combined.", remedy="Give one of them.")
    run = Run(Scope(open_folders(folders), tuple(sorted(set(exclude)))), SystemClock())
    if days:
        watch(run, days, time.sleep)
    elif record:
        run.record()
    return show(run)


class Run:
    """One call: what it looks at, the clock, and what is remembered. `seen` is the newest walk."""

    def __init__(self, scope: Scope, clock: Clock) -> None:
        self.scope, self.clock = scope, clock
        self.file = kept.file_of(scope, os.environ)
        self.looks: tuple[Look, ...] = kept.read(self.file)
        self.seen: Seen | None = None

    def record(self) -> None:
        """Look and remember it, unless the last look is too young."""
        with kept.alone(self.file):
            self.looks = kept.read(self.file)
            now = self.clock.now()
            if not kept.is_due(self.looks, now):
                age = format_duration(max(0.0, now - utc_seconds(self.looks[-1].at)))
                say(f"The last look was {age} ago; this one is too early to be remembered.")
                return
            base = kept.base_of(self.looks, now)
            if self.looks and base is None:
                say("The last look was too long ago, or the clock went back: the next day is counted from this look.")
            self.seen = self.walk(base)
            self.looks = kept.add(self.file, self.scope, self.looks, base, self.seen)

    def walk(self, base: Look | None = None) -> Seen:
        open_folders([Path(it) for it in self.scope.folders])  # a disk may be gone since yesterday
        last = time.monotonic()

        def tell(files: int) -> None:
            nonlocal last
            if time.monotonic() - last >= LINE_EVERY_SECONDS:
                last = time.monotonic()
                say(f"{format_count(files, 'file')} so far.")

        return look(self.scope, self.clock, since=utc_seconds(base.at) if base else None, tell=tell)


def watch(run: Run, days: int, sleep: Callable[[float], None]) -> None:
    """Look once a day until `days` are covered. An end at any time costs at most the look that is under way."""
    while True:
        if kept.is_due(run.looks, run.clock.now()):
            run.record()
        done = covered_days(run.looks)
        if done > days - SLACK_DAYS:
            return
        due = utc_seconds(run.looks[-1].at) + DAY
        wait = format_duration(max(0.0, due - run.clock.now()))
        say(
            f"{done:.1f} of {days} days. The next look is in {wait}. Ctrl-C ends the survey, and the same command "
            "continues it, also after a restart."
        )
        while (left := due - run.clock.now()) > 0 and not _went_back(run):
            sleep(min(left, WAIT_SECONDS_MAX))


def _went_back(run: Run) -> bool:
    """Whether the clock went back behind the last look: waiting for the old time could take for ever."""
    return utc_seconds(run.looks[-1].at) - run.clock.now() > HOUR


def show(run: Run) -> int:
    """Print the figures, their reasons and what to type next."""
    seen = run.seen or run.walk()
    found = draft(seen, run.looks)
    values = {
        "folders": list(run.scope.folders),
        "exclude": list(run.scope.exclude),
        "files": seen.files,
        **found.settings,
        "size_bytes": found.size_bytes,
        "change_bytes_per_day": found.change_bytes_per_day,
        "guessed": list(found.guessed),
        "why": dict(found.why),
        "changed_by_day_bytes": list(seen.changed_by_day),
        "days": round(found.days, 2),
        "looks": len(run.looks),
        "looks_file": str(run.file) if run.looks else None,
        "unreadable": list(seen.unreadable),
        "unreadable_count": seen.unreadable_count,
        "undated": seen.undated,
    }
    emit(values, "\n".join([*_figures(found), _left_out(run.scope), *_troubles(seen), *_next(run, found)]))
    return WARNINGS if seen.unreadable_count else OK


def _figures(found: Draft) -> list[str]:
    mark = " (~ marks a guess)" if found.guessed else ""
    lines = [f"    {name}: {figure}" for name, figure in found.settings.items()]
    reasons = [f"{name}: {why}" for name, why in found.why.items()]
    return [f"For the service in territory.yml{mark}:", "", *lines, "", *reasons]


def _left_out(scope: Scope) -> str:
    if scope.exclude:
        return f"Left out: {', '.join(map(printable, scope.exclude))}."
    return "All files count. Name what the service excludes with --exclude."


def _troubles(seen: Seen) -> list[str]:
    told = []
    if seen.unreadable_count:
        more = seen.unreadable_count - len(seen.unreadable)
        names = ", ".join(seen.unreadable) + (f" and {more} more" if more else "")
        told.append(f"Warning: not read, so both figures may be too small: {names}.")
    if seen.undated:
        files = format_count(seen.undated, "file")
        told.append(f"Warning: {files} with no time but one in the future: counted in the size only.")
    return told


def _next(run: Run, found: Draft) -> list[str]:
    looks = f"{format_count(len(run.looks), 'look')} in {printable(str(run.file))}." if run.looks else ""
    if not found.guessed:
        return [f"{looks} If cron does this, remove its line now: `crontab -e`."]
    told = [looks] if looks else []
    if found.days >= COVERED_DAYS_MIN:
        remove = as_typed("rm", str(run.file))
        told += ["More looks do not end this doubt. To start over, remove them:", f"    {remove}"]
    week = _again(run, "--days", "7")
    told += ["To measure a week, leave this open; it can be ended and typed again:", f"    {week}"]
    return [*told, *_for_cron(run)]


def _for_cron(run: Run) -> list[str]:
    words = (*run.scope.exclude, *run.scope.folders)
    if any(printable(it) != it for it in words):  # cron's shell cannot read what as_typed writes of these
        return []
    line = _again(run, "--record", quiet=True).replace("%", "\\%")
    return [
        "or let cron look, also after restarts (`crontab -e`, this line), and a week later type the survey again:",
        f"    {AT_NOON} {line} >/dev/null",
    ]


def _again(run: Run, *options: str, quiet: bool = False) -> str:
    """The command for the same files with `options`."""
    return survey_line(run.scope.folders, run.scope.exclude, *options, quiet=quiet)
