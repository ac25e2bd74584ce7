"""The requirements of a lab; one sentence says what is missing and what works all the same."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Mapping

from appliance.errors import ApplianceError, Forbidden, NotFound, Unsupported
from appliance_lab.hosts.kernel import NETWORKS, NFT, UNSUPPORTED, probe

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
    # Every other trial is made in a network of its own, so without those it is no other feature that is missing.
    if not found[NETWORKS]:
        what = "network namespaces, veth pairs and bridges"
        raise Unsupported(f"a lab needs {what}, not all of which this machine's kernel offers. {STILL}")
    if not found[NFT]:
        raise Unsupported(f"a lab needs nftables with NAT, which this machine's kernel does not offer. {STILL}")


def check_mesh(backends: Mapping[str, str]) -> None:
    """Raise Unsupported when nothing here can make the mesh of nodes: each would wait for the others and never reach
    them."""
    if backends["mesh"] == UNSUPPORTED:
        raise Unsupported(
            "the mesh of the nodes is unsupported: this machine's kernel has neither WireGuard nor tun for "
            f"wireguard-go. Bare nodes work. {STILL}",
            remedy="Nothing was changed. See: appliance lab probe",
        )


def why_not() -> str | None:
    """The sentence that says why this account of this machine can have no lab; None when it can."""
    try:
        check_root()
        check_programs()
        check_kernel(probe())
    except ApplianceError as error:
        return str(error)
    return None
