"""The demo's search is believed only when it finds each thing that it looks for where that is known to be."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from appliance_lab.demo.search import Needles, files_with, needles_of, prove_search
from appliance_lab.story import Unknown

LINE = b"Registre des deliberations du conseil municipal, 2026"
PAPER = b"AGE-SECRET-KEY-PAPER-1234"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "Conseil municipal").mkdir(parents=True)
    (folder / "Conseil municipal" / "deliberations-2026.txt").write_bytes(LINE)
    (folder / "b.txt").write_bytes(b"une autre ligne qui ne se trouve nulle part ailleurs\n")
    return folder


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    folder.mkdir()
    (folder / "passphrase").write_bytes(b"correct horse battery staple")
    (folder / "age").write_bytes(b"AGE-SECRET-KEY-1234567")
    return folder


@pytest.fixture
def needles(data: Path, keys: Path) -> Needles:
    return needles_of(data, [path.read_bytes() for path in keys.iterdir()], PAPER)


def test_all_of_it_is_found(needles: Needles, data: Path, keys: Path) -> None:
    assert (len(needles.contents), len(needles.names), len(needles.secrets)) == (2, 2, 2)
    assert PAPER in needles.all
    prove_search(needles, data, keys)


def test_pieces_that_overlap_are_each_found(needles: Needles, data: Path, keys: Path) -> None:
    parts = (LINE[4:40], LINE[8:30], LINE[20:])
    prove_search(replace(needles, contents=(*needles.contents, *parts)), data, keys)


@pytest.mark.parametrize(
    ("kind", "said"), [("contents", "1 piece"), ("names", "1 name"), ("secrets", "1 secret")], ids=str
)
def test_one_that_is_not_found_is_enough_to_believe_nothing(
    kind: str, said: str, needles: Needles, data: Path, keys: Path
) -> None:
    more = {kind: (*getattr(needles, kind), b"this is in no file and no name at all")}
    with pytest.raises(Unknown, match=f"does not even find {said} where"):
        prove_search(replace(needles, **more), data, keys)


def test_a_name_counts_when_a_file_has_it_and_not_when_one_speaks_of_it(
    needles: Needles, data: Path, keys: Path
) -> None:
    os.rename(data / "Conseil municipal", data / "Autre")
    (data / "b.txt").write_bytes(b"une autre ligne qui ne se trouve nulle part ailleurs\nConseil municipal\n")
    with pytest.raises(Unknown, match="1 name"):
        prove_search(needles, data, keys)


def test_on_a_peer_contents_names_and_paper_are_seen(needles: Needles, tmp_path: Path) -> None:
    peer = tmp_path / "peer"
    (peer / "Conseil municipal").mkdir(parents=True)
    assert files_with(needles.all, peer) == (f"{peer}/Conseil municipal",)
    (peer / "leak").write_bytes(b"\0\xff" + PAPER + b"\0")
    assert set(files_with(needles.all, peer)) == {f"{peer}/Conseil municipal", f"{peer}/leak"}
