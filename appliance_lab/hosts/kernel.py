"""The features of this machine's kernel that a lab can use, found by trying them, and their replacements where absent.

Each trial is made in a network of its own that ends with it: nothing is left, whatever happens to us. On a stock Debian
most of it comes as modules, which the trial loads.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from appliance.host.command import run

UNSUPPORTED = "unsupported"
TRIAL_SECONDS_MAX = 20.0
_ALONE = ("unshare", "--net", "--")
_KVM_GET_API_VERSION, _KVM_API = 0xAE00, 12
_FILE_SYSTEMS, _MISC = Path("/proc/filesystems"), Path("/proc/misc")
_CONTROLLERS = (Path("/sys/fs/cgroup/cgroup.controllers"), Path("/sys/fs/cgroup/unified/cgroup.controllers"))
_LIMITS = frozenset({"memory", "cpu"})

NETWORKS, NETEM, TBF, TUN, NFT, BTRFS = "networks", "netem", "tbf", "tun", "nftables", "btrfs"
WIREGUARD, DEVICE_MAPPER, CONTROLLERS, KVM = "wireguard", "device-mapper", "cgroup-controllers", "kvm"
SHUTTLE = "user-space router"


@dataclass(frozen=True)
class Feature:
    """`use`: what a lab does with it; `otherwise`: what it does without."""

    name: str
    use: str
    otherwise: str
    try_out: Callable[[], bool]


def probe() -> dict[str, bool]:
    """Which features are there, by name. Takes some 50 ms and needs root."""
    return {feature.name: feature.try_out() for feature in FEATURES}


def backends(found: Mapping[str, bool]) -> dict[str, str]:
    """Return the backend of a lab for each of its jobs on a kernel that offers `found`."""
    delay = NETEM if found[NETEM] else SHUTTLE if found[TUN] else UNSUPPORTED
    return {
        "pool": BTRFS if found[BTRFS] else "overlay",
        "cut": NFT if found[NFT] else UNSUPPORTED,
        "throttle": TBF if found[TBF] else NETEM if found[NETEM] else UNSUPPORTED,
        "delay": delay,
        "mesh": "kernel WireGuard" if found[WIREGUARD] else "wireguard-go" if found[TUN] else UNSUPPORTED,
        "encryption": DEVICE_MAPPER if found[DEVICE_MAPPER] else UNSUPPORTED,
        "limits": "control groups" if found[CONTROLLERS] else UNSUPPORTED,
    }


def _alone(*argv: str) -> bool:
    return run((*_ALONE, *argv), timeout_seconds=TRIAL_SECONDS_MAX).exit_code == 0


def _networks() -> bool:
    """A network of its own, and in it a bridge with the end of a cable, as each site has."""
    cable = "ip link add try type bridge && ip link add end type veth peer name other && ip link set end master try"
    return _alone("sh", "-c", cable)


def _queues(*words: str) -> bool:
    return _alone("tc", "qdisc", "add", "dev", "lo", "root", *words)


def _rules() -> bool:
    """A masquerade, which every lab needs, and a drop, which cuts."""
    nat = "add table ip t; add chain ip t c { type nat hook postrouting priority 100; }; add rule ip t c masquerade;"
    cut = "add chain ip t d { type filter hook forward priority 0; }; add rule ip t d ip daddr 192.0.2.1 drop"
    return _alone("nft", nat + cut)


def _knows_file_system(name: str) -> bool:
    def known() -> bool:
        return name in _FILE_SYSTEMS.read_text().split()

    # A kernel with modules tells of a file system only once it is loaded.
    if not known() and shutil.which("modprobe"):
        run(("modprobe", "--quiet", name), timeout_seconds=TRIAL_SECONDS_MAX)
    return known()


def _device_mapper() -> bool:
    return "device-mapper" in _MISC.read_text().split() or _opens(Path("/dev/mapper/control"))


def _controllers() -> bool:
    return any(path.exists() and set(path.read_text().split()) >= _LIMITS for path in _CONTROLLERS)


def _kvm() -> bool:
    try:
        with open("/dev/kvm", "rb+", buffering=0) as device:
            return fcntl.ioctl(device, _KVM_GET_API_VERSION) == _KVM_API
    except OSError:
        return False


def _opens(path: Path) -> bool:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
    except OSError:
        return False
    return True


FEATURES = (
    Feature(NETWORKS, "gives each node a network, each site a bridge", "no lab", _networks),
    Feature(
        NETEM,
        "delays packets and loses some",
        "a router in user space does both",
        lambda: _queues("netem", "delay", "1ms"),
    ),
    Feature(
        TBF,
        "throttles links",
        "netem does, where it is there",
        lambda: _queues("tbf", "rate", "1mbit", "burst", "5000", "latency", "100ms"),
    ),
    Feature(
        TUN,
        "a router in user space, WireGuard in user space",
        "no delay without netem, no mesh without WireGuard",
        lambda: _alone("ip", "tuntap", "add", "dev", "try", "mode", "tun"),
    ),
    Feature(NFT, "lets a lab out and cuts its links", "no lab", _rules),
    Feature(
        BTRFS,
        "disks of nodes, with subvolumes and snapshots inside",
        "overlays, without snapshots inside",
        lambda: _knows_file_system("btrfs"),
    ),
    Feature(
        WIREGUARD,
        "the mesh of the nodes",
        "wireguard-go, slower",
        lambda: _alone("ip", "link", "add", "try", "type", "wireguard"),
    ),
    Feature(DEVICE_MAPPER, "encrypted disks, disks that fail", "neither can be tried", _device_mapper),
    Feature(CONTROLLERS, "memory and CPU limits inside nodes", "limits are not enforced", _controllers),
    Feature(KVM, "nothing yet", "nothing is missed", _kvm),
)
