"""A record sees every change that a restore could make, and nothing else."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.errors import IntegrityError
from appliance_lab.checkers.tree_record import compare, parse, take


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "folder").mkdir(parents=True)
    (root / "file").write_bytes(b"content")
    (root / "bad\udcff\nname").write_bytes(b"x")
    os.link(root / "file", root / "folder/same")
    os.symlink("nowhere", root / "link")
    os.mkfifo(root / "fifo")
    os.setxattr(root / "file", "user.note", b"\x00\xff")
    return root


def test_the_same_tree_has_no_difference_and_survives_json(tree: Path) -> None:
    record = take(tree, as_root=False)
    assert compare(record, take(tree, as_root=False)) == ()
    assert parse(record.to_json()) == record
    assert record.entries["bad\udcff\nname"].size == 1
    assert record.entries["file"].links == record.entries["folder/same"].links == "file"
    assert set(record.entries) == {".", "file", "folder", "folder/same", "bad\udcff\nname", "link", "fifo"}


def test_what_somebody_else_could_not_save_is_passed_over_with_all_below_it(tree: Path) -> None:
    before = take(tree, as_root=False, without=("folder", "link"))
    assert before.left_out == (("folder", "passed over"), ("link", "passed over"))
    assert before.entries["file"].links == ""
    shutil.rmtree(tree / "folder")
    (tree / "link").unlink()
    os.utime(tree, ns=(before.entries["."].mtime_ns,) * 2)
    assert compare(before, take(tree, as_root=False)) == ()


def relink(root: Path) -> None:
    (root / "link").unlink()
    os.symlink("elsewhere", root / "link")


def unlink_hard(root: Path) -> None:
    shutil.copy2(root / "file", root / "x")
    os.rename(root / "x", root / "folder/same")
    os.utime(root / "folder", ns=(1, 1))


def rewrite_same_size(root: Path) -> None:
    times = (root / "bad\udcff\nname").stat().st_mtime_ns
    (root / "bad\udcff\nname").write_bytes(b"y")
    os.utime(root / "bad\udcff\nname", ns=(times, times))


def touch_a_nanosecond(root: Path) -> None:
    os.utime(root / "fifo", ns=(0, (root / "fifo").stat().st_mtime_ns + 1))


CHANGES: list[tuple[Callable[[Path], object], set[tuple[str, str]]]] = [
    (lambda root: os.chmod(root / "fifo", 0o4611), {("fifo", "mode")}),
    (touch_a_nanosecond, {("fifo", "mtime_ns")}),
    (rewrite_same_size, {("bad\udcff\nname", "sha256")}),
    (lambda root: os.setxattr(root / "bad\udcff\nname", "user.new", b""), {("bad\udcff\nname", "xattrs")}),
    (lambda root: os.removexattr(root / "file", "user.note"), {("file", "xattrs"), ("folder/same", "xattrs")}),
]


@pytest.mark.parametrize(("change", "differences"), CHANGES)
def test_each_change_is_seen(tree: Path, change: Callable[[Path], object], differences: set[tuple[str, str]]) -> None:
    before = take(tree, as_root=False)
    change(tree)
    found = {(difference.path, difference.what) for difference in compare(before, take(tree, as_root=False))}
    assert found == differences


def test_a_link_that_points_elsewhere_or_became_a_file_is_seen(tree: Path) -> None:
    before = take(tree, as_root=False)
    relink(tree)
    unlink_hard(tree)
    found = {(difference.path, difference.what) for difference in compare(before, take(tree, as_root=False))}
    assert {("link", "target"), ("file", "links"), ("folder/same", "links")} <= found


def test_what_is_missing_or_added_is_told(tree: Path) -> None:
    before = take(tree, as_root=False)
    os.rename(tree / "fifo", tree / "pipe")
    found = [str(difference) for difference in compare(before, take(tree, as_root=False)) if difference.path != "."]
    assert found == ["fifo: missing", "pipe: added"]


def test_an_acl_is_part_of_the_record(tree: Path) -> None:
    before = take(tree, as_root=False)
    subprocess.run(["setfacl", "-m", "u:65534:r", tree / "file"], check=True)
    found = {difference.what for difference in compare(before, take(tree, as_root=False))}
    assert "xattrs" in found


@pytest.mark.root
def test_owners_and_devices_count_as_root_only(tree: Path) -> None:
    as_root, plain = take(tree, as_root=True), take(tree, as_root=False)
    os.chown(tree / "fifo", 1234, 4321)
    assert {difference.what for difference in compare(as_root, take(tree, as_root=True))} == {"uid", "gid"}
    assert compare(plain, take(tree, as_root=False)) == ()
    os.mknod(tree / "device", 0o20600, os.makedev(1, 3))
    assert take(tree, as_root=True).entries["device"].device == os.makedev(1, 3)


def test_sockets_are_left_out_by_name(tree: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tree / "folder/s"))
    before = take(tree, as_root=False)
    assert before.left_out == (("folder/s", "socket"),)
    (tree / "folder/s").unlink()
    after = take(tree, as_root=False)
    assert {difference.path for difference in compare(before, after)} == {"folder"}


SCRIPT = """
import sys
from pathlib import Path
from appliance_lab.checkers.tree_record import take
print(take(Path(sys.argv[1]), False).to_json())
"""


def test_unreadable_files_are_left_out_by_name_and_never_hide_a_loss(tree: Path) -> None:
    whole = take(tree, as_root=False)
    os.chmod(tree / "bad\udcff\nname", 0)
    os.chmod(tree / "folder", 0)
    words = ["/usr/bin/python3", "-c", SCRIPT, str(tree)]
    if os.geteuid() == 0:
        words = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *words]
    shown = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    os.chmod(tree / "folder", 0o755)
    partial = parse(shown)
    assert dict(partial.left_out) == {"bad\udcff\nname": "Permission denied", "folder": "Permission denied"}
    missing = {difference.path for difference in compare(whole, partial) if difference.what == "missing"}
    assert missing == {"bad\udcff\nname", "folder/same"}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "entries": 3}'])
def test_what_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(IntegrityError):
        parse(text)
