"""A snapshot that would lack something is not taken."""

from __future__ import annotations

import pytest

from appliance.backup.sources.snapshot import file_systems, mounts_below

MOUNTINFO = """\
22 1 0:21 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
36 22 0:32 /@srv /srv/partages rw - btrfs /dev/sda1 rw,subvol=/@srv
41 36 8:17 / /srv/partages/Photos\\040d'\\303\\251t\\303\\251 rw - ext4 /dev/sdb1 rw
42 22 8:18 / /srv/partages2 rw - ext4 /dev/sdc1 rw
"""


@pytest.mark.parametrize(
    ("folder", "found"),
    [
        ("/srv/partages", ("/srv/partages/Photos d'été",)),
        ("/srv/partages/", ("/srv/partages/Photos d'été",)),
        ("/srv/partages2", ()),
        ("/srv", ("/srv/partages", "/srv/partages/Photos d'été", "/srv/partages2")),
        ("/home", ()),
    ],
)
def test_file_systems_mounted_inside_are_found(folder: str, found: tuple[str, ...]) -> None:
    assert mounts_below(folder, MOUNTINFO) == found


@pytest.mark.parametrize(
    ("folder", "found"),
    [
        ("/srv/partages", ("btrfs", "ext4")),
        ("/srv/partages/Mairie", ("btrfs",)),
        ("/srv/partages2", ("ext4",)),
        ("/home", ("ext4",)),
        ("/", ("btrfs", "ext4")),
    ],
)
def test_the_kinds_of_file_system_around_and_inside_a_folder_are_found(folder: str, found: tuple[str, ...]) -> None:
    assert file_systems(folder, MOUNTINFO) == found


def test_what_is_mounted_over_another_file_system_counts_in_its_place() -> None:
    over = f"{MOUNTINFO}43 22 0:40 / /srv/partages2 rw - tmpfs tmpfs rw\n"
    assert file_systems("/srv/partages2/Mairie", over) == ("tmpfs",)
