"""The demo's nodes never run as root. Started as root, the demo hands its steps to a plain account and keeps one for
itself.

The account needs a real shell, for sshd runs forced commands through it, and code that it may read: the checkout may
lie in a folder closed to others, so the code is copied beside the stage. Root keeps the comparison of owners and
devices, which nobody else can restore.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import stat
import sys
import tempfile
from pathlib import Path

from appliance.errors import UsageError
from appliance.host.command import run
from appliance.secret import Secret
from appliance.units import printable
from appliance_lab.checkout import code_folder, inventories

ACCOUNT = "appliance-demo"
FOLDERS = Path("/var/tmp")
"""Where the nodes of a demo of root live: no home that is closed to them is above it."""
PRIVILEGE_SEPARATION = Path("/run/sshd")
OTHER_OWNERS = (1, 8, 65534)
NO_SHELLS = ("nologin", "false")


def make_account() -> pwd.struct_passwd:
    """The account for the nodes, made when it is missing; and the folder that a root's sshd wants.

    Raise UsageError for one that was there and that sshd cannot work with.
    """
    PRIVILEGE_SEPARATION.mkdir(mode=0o755, exist_ok=True)
    try:
        account = pwd.getpwnam(ACCOUNT)
    except KeyError:
        words = ("useradd", "--system", "--user-group", "--no-create-home", "--shell", "/bin/sh", ACCOUNT)
        run(words, timeout_seconds=60, check=True)
        account = pwd.getpwnam(ACCOUNT)
    check_shell(account)
    return account


def own_account() -> pwd.struct_passwd:
    """The account that plays; raise UsageError when it has no name, for sshd knows callers by it."""
    try:
        return pwd.getpwuid(os.geteuid())
    except KeyError:
        what = f"this account has no name, only the number {os.geteuid()}, and sshd lets nobody in without one."
        raise UsageError(what, remedy="Run the demo as an account of /etc/passwd.") from None


def check_shell(account: pwd.struct_passwd) -> None:
    """Raise UsageError unless the account has a shell that runs commands: ssh would say no more than that it closed."""
    shell = account.pw_shell or "/bin/sh"
    if os.path.basename(shell) in NO_SHELLS or not os.access(shell, os.X_OK):
        raise UsageError(
            f"the account {account.pw_name} has {shell} for a shell, and sshd needs a real one to run the nodes' "
            "commands.",
            remedy=f"Give it one (`usermod --shell /bin/sh {account.pw_name}`), or run the demo as another account.",
        )


def make_demo_folder() -> Path:
    """An empty folder outside any closed home."""
    return Path(tempfile.mkdtemp(prefix="appliance-demo-", dir=FOLDERS))


def furnish(folder: Path, account: pwd.struct_passwd) -> None:
    """Copy the code to `folder` and make it the account's."""
    for source in (code_folder() / "appliance", code_folder() / "appliance_lab", inventories()):
        shutil.copytree(source, folder / "code" / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    give(folder, account)


def give(folder: Path, account: pwd.struct_passwd) -> None:
    """Make `folder` and all below it the account's."""
    os.chown(folder, account.pw_uid, account.pw_gid)
    for path, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(os.path.join(path, name), account.pw_uid, account.pw_gid, follow_symlinks=False)


def check_may_read(account: pwd.struct_passwd, data: Path) -> None:
    """Raise UsageError unless the account may read the folder `data`: it plays the steps, and root only the last."""
    words = (*_become(account), "test", "-r", str(data), "-a", "-x", str(data))
    if run(words, timeout_seconds=30).exit_code != 0:
        raise UsageError(
            f"the account {account.pw_name}, which plays the steps for root, may not read this folder.",
            where=printable(str(data)),
            remedy="Play as the account whose documents they are, or name a folder that others may read.",
        )


def add_other_owners(documents: Path) -> None:
    """Add files of other accounts and two devices, so that comparing owners compares something.

    In a folder of their own: the day's work of the second step is done by the plain account, which may not touch them.
    """
    folder = documents / "Autres comptes"
    folder.mkdir()
    for number in range(30):
        path = folder / f"registre {number:02}.bin"
        path.write_bytes(f"registre {number}\n".encode() * 100)
        os.chown(path, OTHER_OWNERS[number % 3], OTHER_OWNERS[number % 2])
    try:
        os.mknod(folder / "null", stat.S_IFCHR | 0o644, os.makedev(1, 3))
        os.mknod(folder / "loop0", stat.S_IFBLK | 0o600, os.makedev(7, 0))
    except PermissionError:
        return  # a container without CAP_MKNOD has no devices to lose


def play_as(account: pwd.struct_passwd, folder: Path, arguments: tuple[str, ...]) -> Secret | None:
    """Play the steps in `folder` as the account; what it prints goes through. The key on the paper of a kept territory.

    That one comes through a pipe: it must be on no disk, and step 4 has looked.
    """
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    try:
        _play_as(account, folder, (*arguments, "--paper-to", str(writer)))
    finally:
        os.close(writer)
        os.set_blocking(reader, False)  # nothing that lives on may make us wait
        with os.fdopen(reader, "rb", buffering=0) as pipe:
            paper = pipe.read()
    return Secret(paper) if paper else None


def _play_as(account: pwd.struct_passwd, folder: Path, arguments: tuple[str, ...]) -> None:
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "HOME": str(folder),
        "PYTHONPATH": str(folder / "code"),
        "LANG": "C.UTF-8",
    }
    words = (*_become(account), sys.executable, "-m", "appliance", "demo", "--work", str(folder), *arguments)
    child = os.posix_spawn(shutil.which("setpriv") or "/usr/bin/setpriv", words, environment)
    try:
        os.waitpid(child, 0)
    except KeyboardInterrupt:
        # A terminal has told both of us, `kill` only this process; told twice, the child does nothing more.
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)
        raise


def _become(account: pwd.struct_passwd) -> tuple[str, ...]:
    return ("setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups", "--no-new-privs")
