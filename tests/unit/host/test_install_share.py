"""Files of a share that come into place: whose they are then, and what nobody can have changed by them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from appliance.host import command
from appliance.programs.install_share import ACCESS_LISTS, INSTALLING, REPLACED, install

GROUP = os.getegid()


@pytest.fixture
def shares(tmp_path: Path) -> Path:
    for name in (INSTALLING, REPLACED):
        (tmp_path / name).mkdir()
    return tmp_path


def laid(shares: Path) -> Path:
    """The files of another node, as the account that serves brought them."""
    new = shares / INSTALLING / "docs-a"
    (new / "Conseil d’été").mkdir(parents=True)
    (new / "Conseil d’été/avis.txt").write_text("nouveau")
    (new / "Conseil d’été/avis.txt").chmod(0o600)
    return new


def place(shares: Path) -> Path:
    install(str(shares / "documents"), "docs-a", GROUP, os.geteuid())
    return shares / "documents"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_files_come_with_the_modes_of_a_share_and_what_lay_there_is_kept(shares: Path) -> None:
    laid(shares)
    assert (place(shares) / "Conseil d’été/avis.txt").read_text() == "nouveau"
    assert [
        mode(shares / it) for it in ("documents", "documents/Conseil d’été", "documents/Conseil d’été/avis.txt")
    ] == [
        0o2770,
        0o2770,
        0o660,
    ]
    (shares / "documents/Conseil d’été/avis.txt").write_text("ancien")
    for number in ("", ".1"):
        laid(shares)
        place(shares)
        assert (shares / REPLACED / f"docs-a{number}").exists()
    assert (shares / REPLACED / "docs-a/Conseil d’été/avis.txt").read_text() == "ancien"
    assert (shares / "documents/Conseil d’été/avis.txt").read_text() == "nouveau"
    assert os.listdir(shares / INSTALLING) == []


def test_access_control_lists_of_the_account_that_laid_the_files_go(shares: Path) -> None:
    """It could name itself, or anybody, in them, and would read and write the share from then on."""
    new = laid(shares)
    folder, file = new / "Conseil d’été", new / "Conseil d’été/avis.txt"
    command.run(
        ("setfacl", "--modify", "user:daemon:rwx,default:user:daemon:rwx", str(folder)), timeout_seconds=10, check=True
    )
    command.run(("setfacl", "--modify", "user:daemon:rw-", str(file)), timeout_seconds=10, check=True)
    assert {*os.listxattr(folder), *os.listxattr(file)} == set(ACCESS_LISTS)
    found = place(shares)
    assert [os.listxattr(it) for it in (found, *found.rglob("*"))] == [[], [], []]
    assert mode(found / "Conseil d’été/avis.txt") == 0o660


def test_a_link_is_left_as_it_is_and_nothing_behind_it_is_changed(shares: Path) -> None:
    secret = shares / "secret"
    secret.mkdir()
    (secret / "key").write_text("x")
    (secret / "key").chmod(0o400)
    secret.chmod(0o700)
    new = laid(shares)
    (new / "file").symlink_to(secret / "key")
    (new / "folder").symlink_to(secret)
    found = place(shares)
    assert (found / "folder").is_symlink()
    assert (mode(secret), mode(secret / "key")) == (0o700, 0o400)


def test_what_is_no_file_is_removed(shares: Path) -> None:
    os.mkfifo(laid(shares) / "pipe")
    assert not (place(shares) / "pipe").exists()


def test_a_link_in_the_place_of_what_was_laid_is_refused_and_the_share_stays(shares: Path) -> None:
    elsewhere = shares / "elsewhere"
    elsewhere.mkdir()
    elsewhere.chmod(0o700)
    (shares / "documents").mkdir()
    (shares / INSTALLING / "docs-a").symlink_to(elsewhere)
    with pytest.raises(OSError, match="Not a directory"):
        place(shares)
    assert mode(elsewhere) == 0o700
    assert not (shares / "documents").is_symlink()


def test_cut_before_it_came_into_place_it_is_laid_again(shares: Path) -> None:
    (shares / REPLACED / "docs-a.coming/half").mkdir(parents=True)
    laid(shares)
    assert not (place(shares) / "half").exists()
    assert os.listdir(shares / REPLACED) == []


def test_nothing_laid_changes_nothing(shares: Path) -> None:
    (shares / "documents").mkdir()
    with pytest.raises(FileNotFoundError):
        place(shares)
    assert os.listdir(shares / REPLACED) == []


def test_what_lay_there_gets_the_next_number_whatever_was_removed_meanwhile(shares: Path) -> None:
    """The highest is the newest, and stays."""
    for _ in range(4):
        laid(shares)
        place(shares)
    (shares / REPLACED / "docs-a").rename(shares / REPLACED / "docs-a.old")
    laid(shares)
    place(shares)
    assert sorted(os.listdir(shares / REPLACED)) == ["docs-a.1", "docs-a.2", "docs-a.3", "docs-a.old"]
