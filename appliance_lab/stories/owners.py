"""The owner of a file is a name: the number that stands for it is a machine's own, and another machine's may differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from appliance_lab.checkers.tree_record import Record


@dataclass(frozen=True)
class Names:
    """The names of a machine's people and groups, by number."""

    people: Mapping[int, str]
    groups: Mapping[int, str]


def read_names(etc: Path) -> Names:
    """Those of the machine whose /etc is seen as `etc`."""
    return Names(_names(etc / "passwd"), _names(etc / "group"))


def renumbered(record: Record, now: Names, before: Names) -> Record:
    """`record`, taken where `now` are the names, with the numbers that the same names had `before`."""
    people, groups = _other_numbers(now.people, before.people), _other_numbers(now.groups, before.groups)
    entries = {
        path: replace(entry, uid=people.get(entry.uid, entry.uid), gid=groups.get(entry.gid, entry.gid))
        for path, entry in record.entries.items()
    }
    return replace(record, entries=entries)


def _other_numbers(now: Mapping[int, str], before: Mapping[int, str]) -> dict[int | None, int | None]:
    """A number that stands for nobody of before is -1, which no file has."""
    numbers = {name: number for number, name in before.items()}
    return {number: numbers.get(name, -1) for number, name in now.items()}


def _names(file: Path) -> dict[int, str]:
    lines = (line.split(":") for line in file.read_text().splitlines())
    return {int(words[2]): words[0] for words in lines}
