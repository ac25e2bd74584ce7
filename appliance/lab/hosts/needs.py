"""What a machine must have for a lab; one sentence says what is missing and what works all the same."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Mapping

from appliance.errors import ApplianceError, Forbidden, NotFound, Unsupported
from appliance.lab.hosts.kernel import NFT, probe

STILL = "`make demo` works without: the same territory as plain processes, by any account."
# Program and Debian package, as in packages/debian.txt.
PROGRAMS = {
    "systemd-nspawn": "systemd-container",
    "nft": "nftables",
    "ip": "iproute2",
    "tc": "iproute2",
    "mkfs.btrfs": "btrfs-progs",
    "mmdebstrap": "mmdebstrap",
    "ssh-keygen": "openssh-client",
    "unshare": "util-linux",
    "nsenter": "util-linux",
}


def check_root() -> None:
    """Raise Forbidden for an account that can neither make nor see a lab."""
    check_account(os.geteuid())


def check_account(user: int) -> None:
    if user != 0:
        raise Forbidden(f"a lab makes namespaces, mounts and devices and needs root: sudo appliance lab. {STILL}")


def check_programs() -> None:
    """Raise NotFound when a program is not installed."""
    check_found({program for program in PROGRAMS if shutil.which(program) is None})


def check_found(missing: Collection[str]) -> None:
    if missing:
        packages = " ".join(dict.fromkeys(PROGRAMS[program] for program in PROGRAMS if program in missing))
        names = ", ".join(program for program in PROGRAMS if program in missing)
        raise NotFound(f"a lab needs {names}, not installed here. {STILL}", remedy=f"Or: apt install {packages}")


def check_kernel(found: Mapping[str, bool]) -> None:
    """Raise Unsupported when the kernel lacks what no lab can do without."""
    if not found[NFT]:
        raise Unsupported(f"a lab needs nftables with NAT, which this machine's kernel does not offer. {STILL}")


def why_not() -> str | None:
    """The sentence that says why this account of this machine can have no lab; None when it can."""
    try:
        check_root()
        check_programs()
        check_kernel(probe())
    except ApplianceError as error:
        return str(error)
    return None
