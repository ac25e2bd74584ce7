"""Which segments are committed is read from names alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.borg.segments import committed
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
