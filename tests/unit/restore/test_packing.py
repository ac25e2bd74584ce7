"""A zip holds every file under a name that stays inside and that any PC can write; what it cannot hold is told."""

from __future__ import annotations

import os
import stat
import zipfile
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from appliance.restore.packing import NOTE, pack, portable

PARIS = ZoneInfo("Europe/Paris")
NAMES = [
    ("Délibération n° 12.odt", "Délibération n° 12.odt"),
    ("facture\udce9.pdf", "factureé.pdf"),
    ("a\\..\\b", "a_.._b"),
    ('a<b>:"|?*\n\x7f', "a_b________"),
    ("CON", "_CON"),
    ("com1.txt", "_com1.txt"),
    ("fin. ", "fin._"),
    ("..", "._"),
    ("...", ".._"),
    ("C:evil", "C_evil"),
]


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    folder = tmp_path / "stage"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(("name", "written"), NAMES)
def test_a_name_is_one_that_windows_can_write(name: str, written: str) -> None:
    assert portable(name) == written


def test_everything_is_in_it_and_what_cannot_be_is_told(stage: Path, tmp_path: Path) -> None:
    (stage / "d/vide").mkdir(parents=True)
    (stage / "d/a:b").write_text("colon")
    (stage / "d/a_b").write_text("underscore")
    (stage / "d/A_B").write_text("case")
    (stage / "facture\udce9.pdf").write_bytes(b"latin")
    (stage / NOTE).write_text("mine")
    os.symlink("/etc/passwd", stage / "lien")
    os.mkfifo(stage / "tube")
    told: list[tuple[int, int]] = []
    packed = pack(stage, tmp_path / "made.zip", PARIS, lambda size, files: told.append((size, files)))
    with zipfile.ZipFile(tmp_path / "made.zip") as made:
        assert made.testzip() is None
        held = {name: made.read(name) for name in made.namelist()}
        note = held.pop(NOTE).decode()
    assert held.pop("d/vide/") == held.pop("d/") == b""
    assert held.pop("factureé.pdf") == b"latin"
    assert [held.pop(name) for name in ("d/A_B", "d/a_b 2", "d/a_b 3")] == [b"case", b"underscore", b"colon"]
    assert list(held.values()) == [b"mine"]
    assert (packed.files, packed.size) == (5, sum(map(len, ("colon", "underscore", "case", "latin", "mine"))))
    assert packed.left_out == [("lien", "lien"), ("tube", "tube")]
    assert "lien (lien)" in note
    assert "d/a:b → d/a_b 3" in note
    assert told[-1][0] == packed.size


def test_devices_that_an_archive_made_are_left_out_and_told(stage: Path, tmp_path: Path) -> None:
    try:
        os.mknod(stage / "disque", stat.S_IFBLK | 0o666, os.makedev(7, 0))
        os.mknod(stage / "hasard", stat.S_IFCHR | 0o666, os.makedev(1, 8))
    except PermissionError:
        pytest.skip("only root makes devices, and not in every container")
    (stage / "lettre.odt").write_text("une lettre")
    packed = pack(stage, tmp_path / "made.zip", PARIS)
    assert packed.left_out == [("disque", "périphérique"), ("hasard", "périphérique")]
    with zipfile.ZipFile(tmp_path / "made.zip") as made:
        assert set(made.namelist()) == {"lettre.odt", NOTE}
        assert "hasard (périphérique)" in made.read(NOTE).decode()


def test_times_out_of_range_and_modes_harm_nothing(stage: Path, tmp_path: Path) -> None:
    for name, seconds in (("old", -(2**31)), ("far", 2**33), ("now", 1_795_600_000)):
        (stage / name).write_text(name)
        os.utime(stage / name, (seconds, seconds))
    os.chmod(stage / "now", 0o4755)
    pack(stage, tmp_path / "made.zip", PARIS)
    with zipfile.ZipFile(tmp_path / "made.zip") as made:
        infos = {it.filename: it for it in made.infolist()}
    assert [infos[name].date_time[0] for name in ("old", "far", "now")] == [1980, 2107, 2026]
    assert {it.external_attr >> 16 for it in infos.values()} == {0o600}
