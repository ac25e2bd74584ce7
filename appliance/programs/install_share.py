"""Root's side of a share that was brought from another node: its files become its people's, and it comes into place.

    python3 -I -S install_share.py FOLDER NAME GROUP

The account that serves has put the files into `.laying/NAME`, beside FOLDER, as its own; it may give them to nobody.
Here they get the owner and the modes that every file of a share has (`roles/share`): root's, GROUP's, and all of GROUP
may change them; access control lists go, by which the account that put them there could name itself or anybody. The
former FOLDER is kept in `.replaced`. It needs nothing but the standard library.

Invariant: nothing outside of these files is changed, whatever that account does meanwhile. The tree is first moved to
where that account has no way; every file is changed by its descriptor, no link is followed, and anything that is
neither folder nor file nor link is removed. FOLDER comes by one rename, when all of it is on the disk; cut anywhere, it
is done again.
"""

import errno
import grp
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterable

INSTALLING, REPLACED = ".laying", ".replaced"
ROOT = 0
FOLDER_MODE, FILE_MODE = 0o2770, 0o660
ACCESS_LISTS = ("system.posix_acl_access", "system.posix_acl_default")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK


class Refused(Exception):
    """The request cannot be carried out; the sentence goes to the journal."""


def install(folder: str, name: str, group: int, owner: int = ROOT) -> None:
    """Put `.laying/NAME` in the place of `folder`, as `owner`'s and `group`'s."""
    parent, own = os.path.split(folder)
    if "/" in name or not own:
        raise Refused(f"{folder} and {name} are not names of one folder each.")
    shares = os.open(parent, _FOLDER)
    laying, replaced = (os.open(it, _FOLDER, dir_fd=shares) for it in (INSTALLING, REPLACED))
    coming = f"{name}.coming"
    shutil.rmtree(coming, ignore_errors=True, dir_fd=replaced)  # of a run that was cut
    os.rename(name, coming, src_dir_fd=laying, dst_dir_fd=replaced)
    tree = os.open(coming, _FOLDER, dir_fd=replaced)
    give(tree, owner, group)
    _sync(coming, replaced)
    if _is_there(own, shares):
        os.rename(own, next_of(name, os.listdir(replaced)), src_dir_fd=shares, dst_dir_fd=replaced)
    os.rename(coming, own, src_dir_fd=replaced, dst_dir_fd=shares)
    os.fsync(shares)


def give(tree: int, owner: int, group: int) -> None:
    """Make all in the open folder `tree` `owner`'s and `group`'s."""
    for _, folders, files, here in os.fwalk(".", dir_fd=tree, follow_symlinks=False):
        _give(here, FOLDER_MODE, owner, group)
        for name in (*folders, *files):
            kind = os.stat(name, dir_fd=here, follow_symlinks=False).st_mode
            if stat.S_ISLNK(kind):
                os.chown(name, owner, group, dir_fd=here, follow_symlinks=False)
            elif stat.S_ISREG(kind):
                _give_file(name, here, owner, group)
            elif not stat.S_ISDIR(kind):
                os.unlink(name, dir_fd=here)


def _give_file(name: str, here: int, owner: int, group: int) -> None:
    file = os.open(name, _FILE, dir_fd=here)
    try:
        if stat.S_ISREG(os.fstat(file).st_mode):
            _give(file, FILE_MODE, owner, group)
    finally:
        os.close(file)


def _give(opened: int, mode: int, owner: int, group: int) -> None:
    """Lists by their owner, which needs no other power, and before the mode: the group's would be their mask."""
    os.fchown(opened, owner, group)
    for kind in ACCESS_LISTS:
        try:
            os.removexattr(opened, kind)
        except OSError as error:
            if error.errno not in (errno.ENODATA, errno.ENOTSUP):
                raise
    os.fchmod(opened, mode)


def _sync(name: str, folder: int) -> None:
    """Bring the filesystem of `name` to its disk, and no other: a machine that works has much to write elsewhere."""
    subprocess.run(("sync", "--file-system", f"/proc/self/fd/{folder}/{name}"), check=True, pass_fds=(folder,))


def _is_there(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def next_of(name: str, there: Iterable[str]) -> str:
    """`name`, or name.N with the next number above those `there`: the highest is the newest, whatever has gone."""
    numbers = [number for it in there if (number := number_of(name, it)) is not None]
    return f"{name}.{max(numbers) + 1}" if numbers else name


def number_of(name: str, found: str) -> int | None:
    """N of name.N, 0 of `name` itself, None of another name."""
    number = found.removeprefix(f"{name}.")
    return 0 if found == name else int(number) if found != number and number.isdecimal() else None


def main() -> int:
    folder, name, group = sys.argv[1:]
    try:
        install(folder, name, grp.getgrnam(group).gr_gid)
    except (Refused, OSError, KeyError, subprocess.CalledProcessError) as error:
        print(f"{name} was not installed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
