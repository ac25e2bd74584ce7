"""How a brought folder comes in the place of a service's own: by one rename, and nothing that was there is lost."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest

from appliance.failover.forms.trees import swap


@pytest.fixture(params=["one mount", "another mount"])
def room(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`ready` is on the mount of the node's state, on hosts another one than that of `sites`."""
    for name in ("ready", "sites/horaires"):
        (tmp_path / name).mkdir(parents=True)
    if request.param == "another mount":
        rename = Path.rename

        def on_one_mount(old: Path, new: Path) -> Path:
            if ("sites" in old.parts) != ("sites" in new.parts):
                raise OSError(errno.EXDEV, "Invalid cross-device link")
            return rename(old, new)

        monkeypatch.setattr(Path, "rename", on_one_mount)
    return tmp_path


def test_what_lay_there_is_kept_each_time(room: Path) -> None:
    site, kept = room / "sites/horaires", room / "service/replaced-files"
    for number in range(3):
        (room / f"ready/{number}").mkdir()
        (room / f"ready/{number}/index.html").write_text(str(number))
        swap(room / f"ready/{number}", site, kept)
        assert (site / "index.html").read_text() == str(number)
    pages = (*kept.rglob("index.html"), *(it for it in room.rglob("sites/.*/index.html")))
    assert sorted(it.read_text() for it in pages) == ["0", "1"]


def test_what_a_cut_left_half_brought_is_brought_anew(room: Path) -> None:
    site, half = room / "sites/horaires", room / "sites/.horaires.coming"
    half.mkdir()
    (half / "half").write_text("of it")
    (room / "ready/index.html").write_text("whole")
    swap(room / "ready", site, room / "kept")
    assert [it.name for it in site.iterdir()] == ["index.html"]
    assert not half.exists()


def test_a_service_that_had_nothing_here_gets_its_files(room: Path) -> None:
    (room / "ready/index.html").write_text("1")
    swap(room / "ready", room / "sites/new", room / "kept")
    assert (room / "sites/new/index.html").read_text() == "1"


def test_what_is_kept_gets_the_next_number_whatever_was_removed_meanwhile(room: Path) -> None:
    for number in range(5):
        if number == 4:
            for kept in (*room.rglob("service/replaced-files/horaires"), *room.rglob("sites/.horaires.replaced")):
                shutil.rmtree(kept)
        (room / f"ready/{number}").mkdir()
        swap(room / f"ready/{number}", room / "sites/horaires", room / "service/replaced-files")
    kept = (*room.glob("service/replaced-files/*"), *room.glob("sites/.horaires*"))
    assert sorted(it.name[-2:] for it in kept) == [".1", ".2", ".3", ".4"]
