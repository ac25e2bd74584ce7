"""The demo's search is believed only when it finds each thing that it looks for where that is known to be."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from appliance_lab.demo import search
from appliance_lab.demo.search import Needles, files_with, needles_of, prove_search, seen_in
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


def test_what_a_peer_had_before_shows_nothing_and_is_not_looked_for(
    needles: Needles, data: Path, tmp_path: Path
) -> None:
    peer = tmp_path / "peer"
    peer.mkdir()
    (peer / "bundle").write_bytes(b"{" + LINE + b"}")
    (peer / "deliberations-2026.txt").touch()
    known = seen_in(needles, peer)
    assert known == {LINE, b"deliberations-2026.txt"}
    left = needles.without(known)
    assert (len(left.contents), left.names) == (1, (b"Conseil municipal",))
    prove_search(left, data, tmp_path / "keys")


def test_a_name_that_nodes_give_to_files_of_the_service_is_not_looked_for(tmp_path: Path) -> None:
    for name in ("docs-a.left-behind", "docs-annuels 2026.txt"):
        (tmp_path / name).touch()
    assert needles_of(tmp_path).not_of("docs-a").names == (b"docs-annuels 2026.txt",)


def test_documents_without_any_long_name_have_pieces_and_the_other_way_round(tmp_path: Path, keys: Path) -> None:
    (tmp_path / "pieces").mkdir()
    (tmp_path / "pieces/a").write_bytes(LINE)
    (tmp_path / "names").mkdir()
    (tmp_path / "names/compte rendu du 3 mars.txt").touch()
    for name, found in (("pieces", (1, 0)), ("names", (0, 1))):
        some = needles_of(tmp_path / name)
        assert (len(some.contents), len(some.names)) == found
        prove_search(some, tmp_path / name, keys)


def test_no_piece_is_taken_of_a_file_of_which_grep_could_not_keep_a_line(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(needles_of(data).contents) == 2
    monkeypatch.setattr(search, "FILE_BYTES_MAX", len(LINE) - 1)
    assert needles_of(data).contents == ()


def test_a_pipe_and_a_link_to_one_are_passed_by(data: Path) -> None:
    os.mkfifo(data / "a pipe of some program")
    (data / "a link to that pipe").symlink_to("a pipe of some program")
    assert len(needles_of(data).contents) == 2
