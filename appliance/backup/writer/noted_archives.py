"""Which archives the writer's repository has, as its own runs noted: a pruning then starts borg once, not twice.

    services/SERVICE/borg/archives.jsonl   goes with the repository that it is about

The first line is all that a pruning left; each run adds a line for its archive, with the commits before and after.

Invariant: what is read here is what borg would list. Each line goes on from the commit of the line before it, and the
last commit is that of the repository now (`commit_mark`); otherwise, as after a run that was cut, a branch or a command
that somebody typed, nothing is known and borg is asked. Nothing is fsynced: what a power cut takes costs one such look.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from appliance.backup.sources.model import Prepared
from appliance.borg.client import Borg
from appliance.borg.locks import is_locked
from appliance.borg.model import Archive, Created
from appliance.borg.segments import commit_mark
from appliance.host.layout import ServiceLayout


def keep(layout: ServiceLayout, archives: Iterable[Archive]) -> None:
    """Note that the repository, as it is now, has just `archives`, checkpoints and branches among them."""
    if mark := commit_mark(layout.repository):
        with suppress(OSError):  # on a full disk only the next look is lost
            _path(layout).write_text(_line("", mark, archives))


def create(borg: Borg, layout: ServiceLayout, archive: str, source: Prepared, comment: str) -> Created:
    """Have borg make `archive` of `source`, and note that it alone was made."""
    before = _commit(layout)
    created = borg.create(archive, source.paths, cwd=source.cwd, exclude=source.exclude, comment=comment)
    _append(layout, before, [Archive(created.archive, created.id, created.start_utc_seconds, comment)])
    return created


def _commit(layout: ServiceLayout) -> str:
    """The commit that is there before this node writes; "" while somebody else may be writing."""
    return "" if is_locked(layout.repository) else commit_mark(layout.repository)


def _append(layout: ServiceLayout, before: str, archives: Iterable[Archive]) -> None:
    with suppress(OSError), open(_path(layout), "r+") as file:
        file.seek(0, os.SEEK_END)
        file.write(_line(before, commit_mark(layout.repository), archives))


@contextmanager
def unchanged(layout: ServiceLayout) -> Iterator[None]:
    """Around what commits to the repository and makes or forgets no archive."""
    before = _commit(layout)
    yield
    _append(layout, before, ())


def load(layout: ServiceLayout) -> tuple[Archive, ...] | None:
    """All archives of the repository, None where only borg can tell."""
    try:
        lines = [json.loads(line) for line in _path(layout).read_text().splitlines()]
        marks = ["", *(line["after"] for line in lines)]
        is_linked = [line["before"] for line in lines] == marks[:-1] and all(marks[1:])
        if not is_linked or marks[-1] != commit_mark(layout.repository):
            return None
        return tuple(Archive(**fields) for line in lines for fields in line["archives"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def drop(layout: ServiceLayout) -> None:
    """Before archives are forgotten: a command that ends in between may have left any of them."""
    _path(layout).unlink(missing_ok=True)


def _line(before: str, after: str, archives: Iterable[Archive]) -> str:
    fields: dict[str, Any] = {"before": before, "after": after, "archives": [asdict(it) for it in archives]}
    return json.dumps(fields) + "\n"


def _path(layout: ServiceLayout) -> Path:
    return layout.borg_base / "archives.jsonl"
