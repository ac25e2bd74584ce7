"""The output of commands: the result on standard output, for a person or as JSON; all talk on standard error."""

from __future__ import annotations

import errno
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import click

from appliance.cli.language.spoken import told
from appliance.cli.options import options

SCHEMA = 1
LINE_EVERY_SECONDS = 30.0

type Advance = Callable[[int, int], None]
"""Called with what is done and the total, in any unit, as often as one likes."""


def emit(data: Mapping[str, object] | Callable[[], Mapping[str, object]], text: str) -> None:
    """Print the result: `data` as one JSON object with its schema under --json, otherwise `text`. Values that cost much
    to make are given as a function, which is called under --json alone."""
    as_json = options().json
    click.echo(_json({"schema": SCHEMA, **(data() if callable(data) else data)}) if as_json else told(text))


def _json(data: Mapping[str, object]) -> str:
    """One line. A file name that is not UTF-8 cannot be printed as it is; escaped, it comes back exact."""
    text = json.dumps(data, ensure_ascii=False, default=str)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(data, default=str)
    return text


def say(sentence: str) -> None:
    """Tell what happens, one line an event, unless --quiet."""
    if options().quiet:
        return
    try:
        click.echo(told(sentence), err=True)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):  # what goes to a file on a full disk stops no program
            raise


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """`rows` under `headings` in aligned columns, two spaces between; numbers stand to the right."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(headings, *cells, strict=True)]
    numeric = [bool(rows) and all(isinstance(row[i], int | float) for row in rows) for i in range(len(headings))]

    def line(words: Sequence[str]) -> str:
        padded = [
            word.rjust(width) if right else word.ljust(width)
            for word, width, right in zip(words, widths, numeric, strict=True)
        ]
        return "  ".join(padded).rstrip()

    return "\n".join(line(words) for words in (headings, *cells))


@contextmanager
def progress(label: str, *, clock: Callable[[], float] = time.monotonic) -> Iterator[Advance]:
    """Show how far long work is: a bar on a terminal, elsewhere a line now and then, nothing under --quiet."""
    if options().quiet:
        yield lambda done, total: None
    elif sys.stderr.isatty():
        with _bar(label) as advance:
            yield advance
    else:
        yield _lines(label, clock)


def _lines(label: str, clock: Callable[[], float]) -> Advance:
    last = clock()

    def advance(done: int, total: int) -> None:
        nonlocal last
        now = clock()
        if done >= total or now - last >= LINE_EVERY_SECONDS:
            last = now
            click.echo(f"{label}: {100 * done // total if total else 100} %", err=True)

    return advance


@contextmanager
def _bar(label: str) -> Iterator[Advance]:
    # rich costs 60 ms, which commands without a bar need not pay.
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label)
        yield lambda done, total: bar.update(task, completed=done, total=total)
