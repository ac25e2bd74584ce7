"""A repository held in memory, which the catalogue reads as it reads borg's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from appliance.borg.model import Archive, Item, Kind, Repository

Files = dict[str, int]
"""Path to size; the time of a file follows its size here."""


def item(path: str, size: int, kind: Kind = "file", target: str = "") -> Item:
    return Item(path, kind, 0o644, "u", "g", 1, 1, 1000.0 + size, size, target, True)


class MemoryRepository:
    """Archives held in memory, listed as borg lists them."""

    def __init__(self, folder: Path, number: int = 0) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "config").write_text(f"[repository]\nid = {number:064x}\n")
        self.repository = Repository(folder, folder / "base")
        self.kept: dict[str, list[Item]] = {}
        self.gone: dict[str, list[Item]] = {}
        self.made = 0

    def add(self, contents: Files | list[Item]) -> str:
        self.made += 1
        name = f"a{self.made}"
        items = [item(*entry) for entry in contents.items()] if isinstance(contents, dict) else contents
        self.kept[name] = [item(".", 0, "folder"), *items]
        return name

    def prune(self, name: str) -> None:
        self.gone[name] = self.kept.pop(name)

    def bring_back(self, name: str) -> None:
        self.kept[name] = self.gone.pop(name)
        self.kept = dict(sorted(self.kept.items(), key=lambda entry: start(entry[0])))

    def archives(self) -> tuple[Archive, ...]:
        return tuple(Archive(name, f"id-{name}", start(name)) for name in self.kept)

    def items(self, archive: str) -> Iterator[Item]:
        yield from self.kept[archive]


def start(name: str) -> float:
    return 1_800_000_000.0 + 3600.0 * int(name[1:])
