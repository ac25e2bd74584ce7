"""A file that came back to another machine has its owner when the name is the same, whatever the number."""

from __future__ import annotations

from pathlib import Path

from appliance_lab.checkers.tree_record import Entry, Record
from appliance_lab.stories.owners import read_names, renumbered

FILE = Entry("file", 0o644, 1, 1, "", "", "", (), 1000, 900, 0)
GROUPS = "root:x:0:\npeople:x:900:marie.dupont\n"


def owned(uid: int) -> Record:
    return Record(True, {"f": Entry(**{**vars(FILE), "uid": uid})}, ())


def machine(folder: Path, *people: str) -> Path:
    folder.mkdir()
    (folder / "group").write_text(GROUPS)
    lines = [f"{name}:x:{1000 + i}:900::/:/bin/false" for i, name in enumerate(people)]
    (folder / "passwd").write_text("\n".join(("root:x:0:0::/root:/bin/sh", *lines, "")))
    return folder


def test_another_number_for_the_same_name_is_the_same_owner(tmp_path: Path) -> None:
    before = read_names(machine(tmp_path / "before", "marie.dupont"))
    now = read_names(machine(tmp_path / "now", "jeanne.martin", "marie.dupont"))
    assert renumbered(owned(1001), now, before) == owned(1000)
    assert renumbered(owned(0), now, before) == owned(0)


def test_the_same_number_for_another_name_is_another_owner(tmp_path: Path) -> None:
    before = read_names(machine(tmp_path / "before", "marie.dupont"))
    now = read_names(machine(tmp_path / "now", "jeanne.martin", "marie.dupont"))
    assert renumbered(owned(1000), now, before) != owned(1000)
