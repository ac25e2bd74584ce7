"""The decisions of the role storage about a disk: the table of what it makes, reopens, keeps and refuses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.roles.loading import load_data_volume

ROOT = Path(__file__).parents[3]
DISK = "/dev/disk/by-id/ata-NEW_1234"
GIB = 1 << 30


volume = load_data_volume()


def asked(**changes: Any) -> dict[str, Any]:
    usual = {"disk": DISK, "erase": "", "encryption": "luks", "unlock": "tpm2", "tang": [], "threshold": 2}
    return {**usual, **changes}


def disk(**changes: Any) -> Any:
    return volume.Disk(**{"path": "/dev/sdb", "size": 100 * GIB, **changes})


def seen(**changes: Any) -> Any:
    """A machine with a TPM 2.0, /srv on the system's disk, nothing in it, and a blank second disk."""
    usual = {"own": False, "source": "/dev/sda2", "fstype": "ext4", "room": 30 * GIB, "empty": True}
    usual |= {"encrypted": False, "mapper": True, "container": False, "chip": True}
    usual |= {"disk": disk(), "ids": (DISK,)}
    return volume.Seen(**{**usual, **changes})


OURS = {"holds": ("crypto_LUKS",), "label": "appliance-srv", "luks": True}
OURS_IN_CLEAR = {"holds": ("btrfs",), "label": "appliance-srv"}
THERE = {"own": True, "source": "/dev/mapper/srv", "fstype": "btrfs", "empty": False, "encrypted": True}


@pytest.mark.parametrize(
    ("words", "machine", "do", "encryption"),
    [
        ({}, {}, "make", "luks"),
        ({"encryption": "none"}, {}, "make", "none"),
        ({"encryption": "none"}, {"mapper": False}, "make", "none"),
        ({"erase": DISK}, {"disk": disk(holds=("ext4",))}, "make", "luks"),
        # Cut before its label was written: nothing can have been saved there.
        ({}, {"disk": disk(holds=("crypto_LUKS",), label="appliance-new", luks=True)}, "make", "luks"),
        ({}, {"disk": disk(**OURS)}, "reopen", "luks"),
        ({"encryption": "none"}, {"disk": disk(**OURS_IN_CLEAR)}, "reopen", "none"),
        # On the day when it does not open, the variable that once let it be made must not let it be made again.
        ({"erase": DISK}, {"disk": disk(**OURS)}, "reopen", "luks"),
        ({}, {**THERE, "disk": disk(**OURS, used=("/srv",))}, "keep", "luks"),
        ({"erase": DISK}, {**THERE, "disk": disk(**OURS, used=("/srv",))}, "keep", "luks"),
        ({"disk": ""}, THERE, "keep", "luks"),
        # The chip is asked for a new volume alone: the sheet of paper opens one that is there.
        ({"unlock": "tang"}, {"chip": False}, "make", "luks"),
        ({"encryption": "none"}, {"chip": False}, "make", "none"),
        ({}, {"chip": False, "disk": disk(**OURS)}, "reopen", "luks"),
        ({"disk": "", "encryption": "none"}, {}, "keep", "none"),
        ({"disk": ""}, {"mapper": False, "container": True}, "keep", "unsupported"),
    ],
)
def test_a_volume_is_made_reopened_or_kept(
    words: dict[str, Any], machine: dict[str, Any], do: str, encryption: str
) -> None:
    decision = volume.decide(asked(**words), seen(**machine))
    assert (decision.do, decision.encryption) == (do, encryption)


@pytest.mark.parametrize(
    ("words", "machine", "sentence"),
    [
        ({}, {"disk": disk(holds=("ext4",))}, f"holds ext4. To lose all of it for ever, say storage_erase: {DISK}"),
        ({}, {"disk": disk(holds=("gpt", "the part /dev/sdb1"))}, "holds gpt, the part /dev/sdb1"),
        ({"erase": "/dev/disk/by-id/ata-OTHER"}, {"disk": disk(holds=("ext4",))}, "holds ext4"),
        ({"erase": "yes"}, {"disk": disk(holds=("ext4",))}, "holds ext4"),
        ({"erase": DISK}, {"disk": disk(holds=("ext4",), used=("/",))}, "is in use: /"),
        ({"erase": DISK}, {"disk": disk(holds=("swap",), used=("[SWAP]",))}, "is in use: [SWAP]"),
        ({"disk": "/dev/sdb"}, {}, "such names change from boot to boot"),
        ({"disk": "/dev/disk/by-id/ata-GONE"}, {"disk": None}, f"there are: {DISK}"),
        ({}, {"empty": False}, "holds files on the system's disk already"),
        ({}, {"own": True, "source": "/dev/sdc1", "empty": False}, "/srv is /dev/sdc1 already"),
        # Its volume would take the place of the asked one under our name.
        ({}, {"elsewhere": "/dev/sda3"}, "/dev/sda3 is still open as /dev/mapper/srv. Close it first: systemctl stop"),
        ({}, {"elsewhere": "/dev/sda3", "disk": disk(**OURS)}, "/dev/sda3 is still open"),
        ({"erase": DISK}, {"elsewhere": "/dev/sda3", "disk": disk(holds=("ext4",))}, "/dev/sda3 is still open"),
        ({"encryption": "none"}, {"disk": disk(**OURS)}, "is a volume of ours that is encrypted"),
        ({}, {"disk": disk(**OURS_IN_CLEAR)}, "is a volume of ours that is not encrypted"),
        ({}, {**THERE, "encrypted": False, "disk": disk(**OURS_IN_CLEAR, used=("/srv",))}, "not encrypted"),
        ({"disk": ""}, {}, "To do without, say storage_encryption: none"),
        ({}, {"mapper": False}, "no device-mapper"),
        ({}, {"chip": False}, "no TPM 2.0 that would open its disk"),
        ({"erase": DISK}, {"chip": False, "disk": disk(holds=("ext4",))}, "say storage_unlock: tang"),
    ],
)
def test_what_would_lose_data_or_keep_it_in_clear_unasked_is_refused(
    words: dict[str, Any], machine: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(volume.Refusal, match=re.escape(sentence)):
        volume.decide(asked(**words), seen(**machine))


def test_only_a_volume_that_peers_open_waits_for_the_network() -> None:
    crypttab, fstab = volume.tables(asked(unlock="tang"), "UUID")
    assert (crypttab, fstab) == (
        "srv UUID=UUID none luks,_netdev,nofail,discard",
        "/dev/mapper/srv /srv btrfs noatime,_netdev,nofail 0 0",
    )
    assert "_netdev" not in "".join(volume.tables(asked(), "UUID"))
    assert volume.tables(asked(encryption="none"), "UUID") == ("", "UUID=UUID /srv btrfs noatime,nofail 0 0")


def test_what_asks_the_peers_runs_before_a_disk_is_opened() -> None:
    tasks = yaml.safe_load((ROOT / "roles/storage/tasks/configure.yml").read_text())
    [asks] = (number for number, task in enumerate(tasks) if "bind.yml" in str(task))
    assert "clevis-luks-askpass.path" in (ROOT / "roles/storage/tasks/bind.yml").read_text()
    [opens] = (number for number, task in enumerate(tasks) if "data_volume.py" in str(task))
    assert asks < opens


def test_our_lines_are_one_block_that_is_written_once(tmp_path: Path) -> None:
    table = tmp_path / "fstab"
    table.write_text("/dev/sda1 / ext4 defaults 0 1")
    assert volume._put(table, "UUID=1 /srv btrfs noatime 0 0")
    assert not volume._put(table, "UUID=1 /srv btrfs noatime 0 0")
    assert volume._put(table, "UUID=2 /srv btrfs noatime 0 0")
    assert table.read_text().splitlines() == [
        "/dev/sda1 / ext4 defaults 0 1",
        volume.BEGIN,
        "UUID=2 /srv btrfs noatime 0 0",
        volume.END,
    ]
    assert volume._put(table, "")
    assert table.read_text() == "/dev/sda1 / ext4 defaults 0 1\n"


def test_folders_that_systemd_makes_under_a_volume_that_is_not_there_yet_are_nothing(tmp_path: Path) -> None:
    place = tmp_path / "srv"
    assert volume.holds_nothing(place)
    for line in (ROOT / "systemd/tmpfiles.conf").read_text().splitlines():
        if f" {volume.PLACE}/" in line:
            (place / line.split()[1].removeprefix(f"{volume.PLACE}/")).mkdir(parents=True)
    assert list(place.iterdir())
    assert volume.holds_nothing(place)
    (place / "sites/horaires").symlink_to("/elsewhere")
    assert not volume.holds_nothing(place)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A container whose /srv is a folder of btrfs; the subvolume that it should have."""
    shares = tmp_path / "shares"
    monkeypatch.setattr(volume, "NOTE", tmp_path / "storage")
    monkeypatch.setattr(volume, "look", lambda asked: seen(container=True, mapper=False))
    monkeypatch.setattr(volume, "check_tables", lambda *lines: [])
    monkeypatch.setattr(volume, "_found", lambda *how: {"fstype": "btrfs"})
    monkeypatch.setattr(volume, "_run", lambda *argv: shares.mkdir() or (shares / "file").touch())
    return shares


def test_a_look_says_whether_there_is_anything_to_do(host: Path) -> None:
    words = asked(encryption="luks", subvolumes=[str(host)])
    assert volume.answer(words | {"mode": "look"})["due"]
    done = volume.answer(words | {"mode": "apply"})
    assert len(done["changed"]) == 2
    again = volume.answer(words | {"mode": "look"})
    assert not again["due"]
    kept = ("encryption", "why", "room", "paper", "btrfs", "plain")
    assert [again[it] for it in kept] == [done[it] for it in kept]


@pytest.mark.parametrize("lost", ["note", "subvolume", "kind"])
def test_what_is_missing_or_asked_otherwise_is_to_do(host: Path, lost: str) -> None:
    words = asked(encryption="luks", subvolumes=[str(host)])
    volume.answer(words | {"mode": "apply"})
    if lost == "note":
        volume.NOTE.unlink()
    elif lost == "subvolume":
        (host / "file").unlink()
    else:
        words |= {"encryption": "none"}
    assert volume.answer(words | {"mode": "look"})["due"]
