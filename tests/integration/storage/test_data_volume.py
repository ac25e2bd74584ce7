"""The program of the role storage on real disks: files behind loop devices. Nothing that lies on one is ever lost."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from appliance.host.command import run
from tests.unit.roles.loading import load_data_volume

ROOT = Path(__file__).parents[3]
MIB = 1 << 20

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mkfs.btrfs"), reason="needs root and btrfs-progs"),
]


@pytest.fixture
def volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program, with a folder of its own for /srv and for /dev/disk/by-id."""
    module = load_data_volume()
    (tmp_path / "srv").mkdir()
    (tmp_path / "by-id").mkdir()
    monkeypatch.setattr(module, "PLACE", str(tmp_path / "srv"))
    monkeypatch.setattr(module, "BY_ID", f"{tmp_path}/by-id/")
    return module


@pytest.fixture
def disk(tmp_path: Path, volume: ModuleType) -> Iterator[str]:
    """A blank disk of 256 MiB, by its id."""
    image = tmp_path / "disk"
    with image.open("wb") as file:
        file.truncate(256 * MIB)
    device = said("losetup", "--find", "--show", str(image))
    Path(volume.BY_ID, "ata-NEW_1").symlink_to(device)
    yield f"{volume.BY_ID}ata-NEW_1"
    run(("umount", "--quiet", volume.PLACE), timeout_seconds=60)
    said("losetup", "--detach", device)


def asked(disk: str, **changes: Any) -> dict[str, Any]:
    usual = {"disk": disk, "erase": "", "encryption": "none", "unlock": "tpm2", "tang": [], "threshold": 2}
    return {**usual, "mode": "look", "subvolumes": [], **changes}


def said(*argv: str) -> str:
    return run(argv, timeout_seconds=120, check=True).stdout.decode().strip()


def test_a_blank_disk_becomes_a_volume_of_ours_which_is_never_made_again(volume: ModuleType, disk: str) -> None:
    seen = volume.look(asked(disk))
    assert seen.disk.holds == ()
    assert volume.decide(asked(disk), seen).do == "make"
    volume._make_btrfs(seen.disk.path)
    for erase in ("", disk):
        assert volume.decide(asked(disk, erase=erase), volume.look(asked(disk))).do == "reopen"
    said("mount", os.path.realpath(disk), volume.PLACE)
    assert volume.decide(asked(disk, erase=disk), volume.look(asked(disk))).do == "keep"
    assert volume.make_subvolumes([f"{volume.PLACE}/shares"]) == [f"made the subvolume {volume.PLACE}/shares"]
    assert volume.make_subvolumes([f"{volume.PLACE}/shares"]) == []


def test_a_run_ends_with_the_volume_mounted_and_the_next_one_changes_nothing(
    volume: ModuleType, disk: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CRYPTTAB", "FSTAB", "NOTE"):
        monkeypatch.setattr(volume, name, tmp_path / name.lower())
    real = volume._run

    def run_or_mount(*argv: str, fds: tuple[int, ...] = ()) -> str:
        """Where no systemd runs, mount what it would mount."""
        if argv[:2] == ("systemctl", "start"):
            return str(real("mount", "--fstab", str(volume.FSTAB), volume.PLACE))
        return "" if argv[0] == "systemctl" else str(real(*argv, fds=fds))

    monkeypatch.setattr(volume, "_run", run_or_mount)
    words = asked(disk, mode="apply", subvolumes=[f"{volume.PLACE}/shares"])
    told = volume.answer(words)
    assert told["changed"] == [
        f"made the data volume on {disk}",
        f"wrote {volume.FSTAB}",
        f"mounted {volume.PLACE}",
        f"made the subvolume {volume.PLACE}/shares",
        f"wrote {volume.NOTE}",
    ]
    assert (told["btrfs"], told["plain"], os.path.ismount(volume.PLACE)) == (True, [], True)
    assert volume.answer({**words, "erase": disk})["changed"] == []
    assert json.loads(volume.NOTE.read_text())["encryption"] == "none"


@pytest.mark.parametrize(
    ("what", "found"),
    [
        (("mkfs.ext4", "-q"), "ext4"),
        (("mkfs.btrfs", "-q"), "btrfs"),
        (("mkswap", "--quiet"), "swap"),
    ],
)
def test_a_disk_that_holds_something_is_refused_until_its_name_is_said_again(
    volume: ModuleType, disk: str, what: tuple[str, ...], found: str
) -> None:
    said(*what, os.path.realpath(disk))
    for erase in ("", "yes", f"{volume.BY_ID}ata-OTHER"):
        with pytest.raises(volume.Refusal, match=f"holds {found}"):
            volume.decide(asked(disk, erase=erase), volume.look(asked(disk)))
    seen = volume.look(asked(disk))
    decision = volume.decide(asked(disk, erase=disk), seen)
    assert (decision.do, decision.erase) == ("make", True)
    volume._erase(seen.disk.path)
    volume._make_btrfs(seen.disk.path)
    assert volume.look(asked(disk)).disk.label == volume.LABEL


def test_partitions_count_as_something(volume: ModuleType, disk: str) -> None:
    with open(os.path.realpath(disk), "r+b") as file:
        # One Linux partition, from 1 MiB on, in the old table of four.
        entry = struct.pack("<B3sB3sII", 0, b"\0\0\0", 0x83, b"\0\0\0", 2048, 2048)
        file.write(bytes(446) + entry.ljust(64, b"\0") + b"\x55\xaa")
    with pytest.raises(volume.Refusal, match="holds dos"):
        volume.decide(asked(disk), volume.look(asked(disk)))


@pytest.mark.parametrize("place", [0, 128 * MIB, 256 * MIB - 1])
def test_bytes_that_nobody_knows_are_something(volume: ModuleType, disk: str, place: int) -> None:
    device = os.path.realpath(disk)
    with open(device, "r+b") as file:
        # Where a sample reads: a disk full of unknown bytes is met by each, one forgotten byte need not be.
        file.seek(place)
        file.write(b"x" * min(4 * MIB, 256 * MIB - place))
    with pytest.raises(volume.Refusal, match="bytes that are no file system"):
        volume.decide(asked(disk), volume.look(asked(disk)))


def test_a_disk_in_use_is_refused_whatever_is_said(volume: ModuleType, disk: str, tmp_path: Path) -> None:
    said("mkfs.ext4", "-q", os.path.realpath(disk))
    other = tmp_path / "other"
    other.mkdir()
    said("mount", os.path.realpath(disk), str(other))
    try:
        with pytest.raises(volume.Refusal, match="is in use"):
            volume.decide(asked(disk, erase=disk), volume.look(asked(disk)))
    finally:
        said("umount", str(other))


def test_a_volume_of_another_disk_that_is_still_open_is_seen(
    volume: ModuleType, disk: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert volume.look(asked(disk)).elsewhere == ""
    (tmp_path / "old").write_bytes(bytes(MIB))
    old = said("losetup", "--find", "--show", str(tmp_path / "old"))
    try:
        for device, elsewhere in ((old, old), (os.path.realpath(disk), "")):
            monkeypatch.setattr(volume, "MAPPER", device)
            assert volume.look(asked(disk)).elsewhere == elsewhere
    finally:
        said("losetup", "--detach", old)


def test_files_where_the_disk_shall_come_are_not_hidden_under_it(volume: ModuleType, disk: str) -> None:
    Path(volume.PLACE, "letter").touch()
    with pytest.raises(volume.Refusal, match="holds files on the system's disk"):
        volume.decide(asked(disk), volume.look(asked(disk)))


def test_a_disk_that_is_not_there_is_told_with_those_that_are(volume: ModuleType, disk: str) -> None:
    with pytest.raises(volume.Refusal, match=r"there are: .*ata-NEW_1"):
        volume.decide(asked(f"{volume.BY_ID}ata-GONE"), volume.look(asked(f"{volume.BY_ID}ata-GONE")))


def test_the_program_says_a_refusal_in_one_sentence(tmp_path: Path) -> None:
    argv = ("python3", "-I", str(ROOT / "roles/storage/files/data_volume.py"), json.dumps(asked("/dev/sda")))
    done = run(argv, timeout_seconds=60)
    assert done.exit_code == 1
    assert done.stderr.decode().startswith("storage_disk is /dev/sda; such names change from boot to boot")


@pytest.mark.skipif(
    not Path("/usr/lib/systemd/system-generators/systemd-cryptsetup-generator").exists(),
    reason="systemd-cryptsetup is not installed",
)
@pytest.mark.parametrize("words", [{"unlock": "tpm2"}, {"unlock": "tang"}, {"encryption": "none"}])
def test_systemd_takes_what_is_written_and_refuses_nonsense(volume: ModuleType, words: dict[str, str]) -> None:
    lines = volume.tables(asked("", **{"encryption": "luks", **words}), volume.NO_DISK)
    assert len(volume.check_tables(*lines)) == 1 + bool(lines[0])
    with pytest.raises(volume.Refusal):
        volume.check_tables("srv", lines[1])
