"""Which segments are committed is read from names alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.borg.segments import commit_mark, committed
from appliance.errors import IntegrityError


def folder(root: Path, indexes: dict[str, bytes], segments: list[str]) -> Path:
    for name, data in indexes.items():
        (root / name).write_bytes(data)
    for name in segments:
        file = root / "data" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return root


def names(root: Path, files: tuple[Path, ...]) -> list[str]:
    return [str(file.relative_to(root / "data")) for file in files]


def test_segments_beyond_the_index_are_aborted(tmp_path: Path) -> None:
    root = folder(tmp_path, {"index.9": b"x", "hints.9": b"x"}, ["0/2", "0/10", "0/9", "1/1000", "0/9.tmp", "0/lock"])
    state = committed(root)
    assert state.transaction == 9
    assert names(root, state.segments) == ["0/2", "0/9"]
    assert names(root, state.beyond) == ["0/10", "1/1000"]


def test_the_newest_index_that_is_not_empty_counts(tmp_path: Path) -> None:
    root = folder(tmp_path, {"index.3": b"x", "index.12": b"", "index.5": b"x", "index.tmp": b"x"}, ["0/3", "0/6"])
    assert committed(root).transaction == 5
    assert names(root, committed(root).beyond) == ["0/6"]


def test_a_copy_without_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="no index"):
        committed(folder(tmp_path, {}, ["0/1"]))


UNTOLD: list[tuple[dict[str, bytes], list[str]]] = [
    ({}, ["0/1"]),
    ({"index.5": b""}, ["0/5"]),
    ({"index.5": b"x"}, ["0/5", "0/6"]),
    ({"index.5": b"x"}, ["0/5", "1/1000"]),
    ({"index.5": b"x"}, ["0/4"]),
    ({"index.5": b"x"}, []),
]


@pytest.mark.parametrize(("indexes", "segments"), UNTOLD)
def test_without_an_index_of_the_newest_segment_there_is_no_mark(
    tmp_path: Path, indexes: dict[str, bytes], segments: list[str]
) -> None:
    assert commit_mark(folder(tmp_path, indexes, segments)) == ""


def test_every_new_index_is_another_mark_even_under_the_same_number(tmp_path: Path) -> None:
    first = commit_mark(folder(tmp_path, {"index.5": b"x"}, ["0/3", "0/5", "1/lock"]))
    assert first == commit_mark(tmp_path) != ""
    (tmp_path / "other").write_bytes(b"x")
    (tmp_path / "other").rename(tmp_path / "index.5")
    second = commit_mark(tmp_path)
    (tmp_path / "index.1001").write_bytes(b"x")
    third = commit_mark(folder(tmp_path, {}, ["1/1001"]))
    assert len({first, second, third, ""}) == 4
