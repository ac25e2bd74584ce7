"""Whether a folder holds files at all, or what the kernel or a program makes up when it is read, as /proc."""

from __future__ import annotations

import os

from appliance.host.disks.mounts import mount_rows


def made_by_the_kernel(folder: str, device: int) -> bool:
    """Whether `folder`, on the device `device` (`st_dev`), is of a file system that stores nothing.

    Such a one has no blocks; a network disk behind FUSE may say so, too, and does store files.
    """
    return os.statvfs(folder).f_blocks == 0 and not _kind_of(device).startswith("fuse")


def _kind_of(device: int) -> str:
    """The kind of file system that is mounted as `device`; "" when it is not in mountinfo, as a subvolume is not."""
    number = f"{os.major(device)}:{os.minor(device)}"
    return next((words[words.index("-") + 1] for words in mount_rows() if words[2] == number), "")
