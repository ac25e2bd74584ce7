"""The state of the machine itself for a thorough look: its disks, keys and certificate, and when it was last
updated."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from appliance import typed
from appliance.agent.letters import letter_reasons
from appliance.backup.peers.elsewhere import served
from appliance.errors import ApplianceError
from appliance.host import confined
from appliance.host.crash_loops import crash_loops
from appliance.host.disks import health
from appliance.host.layout import NodeLayout
from appliance.host.network import time_sources
from appliance.host.network.certificate_fields import end_of
from appliance.monitor.states import Reason, State
from appliance.monitor.view import Machine
from appliance.node.handle import Node
from appliance.trust.keys import PURPOSES
from appliance.units import DAY, format_duration
from appliance.voter import checks

CERTIFICATE = "certificate.pem"
PUBLIC_CERTIFICATE = "live/pages/fullchain.pem"
PUBLIC_ENDS_SOON_SECONDS = 14 * DAY
"""It is renewed in its last third, a month before the end of ninety days: two weeks of tries have failed then."""
UPDATED = Path("/var/lib/apt/periodic/unattended-upgrades-stamp")
CLOCK_SOURCE = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
STANDS_STILL = "kvm-clock"
"""The clock of guests of QEMU/KVM that are not given the processor's own: it does not count while they are paused."""
PAGES = Path("/etc/systemd/system/sockets.target.wants/appliance-portal.socket")
"""There where this host is to have pages."""
PAGES_PROGRAMS = ("appliance-portal.service", "appliance-portal-work.service")
TCP_SOCKETS = Path("/proc/net/tcp")
_AT_443, _LISTENS = "00000000:01BB", "0A"


def see_machine(layout: NodeLayout) -> Machine:
    disk = os.statvfs(layout.root)
    return Machine(
        disk_size=disk.f_blocks * disk.f_frsize,
        updated=_modified(UPDATED) if layout.is_this_host else None,
        certificate_ends=_certificate_ends(layout.tls / CERTIFICATE),
        time_proven=time_sources.seen() if layout.is_this_host else None,
    )


def how_kept(layout: NodeLayout) -> str:
    """How its disk is kept; "" where nobody said so."""
    return health.how_kept() if layout.is_this_host else ""


def extra_reasons(node: Node) -> tuple[Reason, ...]:
    """Return the problems of the node itself, which are of no service: its keys, its pages' name, its voter, its
    disks."""
    now = node.clock.now()
    anywhere = (*_keys(node), *_public_certificate(node.layout, now), *checks.problems(node.layout, now))
    if not node.layout.is_this_host:
        return anywhere
    return (*anywhere, *_pages(), *letter_reasons(now), *_disks(), *_clock(served(node)), *_kernel(confined.why_not()))


def _modified(file: Path) -> float | None:
    try:
        return file.stat().st_mtime
    except OSError:
        return None


def _certificate_ends(file: Path) -> float | None:
    try:
        return end_of(file.read_bytes())
    except (OSError, ApplianceError):
        return None


def _public_certificate(layout: NodeLayout, now: float) -> Iterator[Reason]:
    """Return the problems of the certificate of the pages' public name; none where they have no such name."""
    if not layout.acme.exists():
        return
    ends, remedy = _certificate_ends(layout.acme / PUBLIC_CERTIFICATE), "See: journalctl --unit appliance-portal-acme"
    if ends is None:
        what = "its pages have no certificate for their public name yet."
        yield Reason("warning", what, remedy, "public-certificate")
    elif ends < now + PUBLIC_ENDS_SOON_SECONDS:
        left = f"ends in {format_duration(ends - now)}" if ends > now else "has ended"
        state: State = "warning" if ends > now else "failed"
        what = f"the certificate of its pages' public name {left}, and was not renewed."
        yield Reason(state, what, remedy, "public-certificate")


def _pages() -> Iterator[Reason]:
    """Whether the pages can be asked. Nobody asks them here: they run while somebody does, and need not run before."""
    if not PAGES.is_symlink():
        return
    if not _listens_for_pages():
        remedy = "Type `systemctl restart appliance-portal.socket` as root; "
        remedy += "`journalctl --unit appliance-portal.socket` has the cause."
        yield Reason("failed", "its pages are closed: nothing listens on port 443.", remedy, "pages")
    for unit in crash_loops(PAGES_PROGRAMS):
        remedy = f"Type `journalctl --unit {unit}` as root for the cause; it starts by itself once that is mended."
        yield Reason("failed", f"its pages answer nobody: {unit} ends each time it is started.", remedy, "pages")


def _listens_for_pages() -> bool:
    try:
        lines = TCP_SOCKETS.read_text().splitlines()[1:]
    except OSError:
        return True  # nothing is known of it
    return any(line.split()[1:4:2] == [_AT_443, _LISTENS] for line in lines)


def _disks() -> Iterator[Reason]:
    for alarm in health.alarms():
        yield Reason("warning", f"{alarm.sentence}.", f"Once that is repaired: rm {alarm.file}", "disk-health")


def _clock(services: Collection[str]) -> Iterator[Reason]:
    """A machine whose clock stands still while a hypervisor pauses it knows of no lease that ended meanwhile."""
    try:
        source = CLOCK_SOURCE.read_text().strip()
    except OSError:
        return
    if services and source == STANDS_STILL:
        what = f"its clock ({source}) stops while it is paused: it could continue to write beside its successor for "
        what += "most of a lease."
        remedy = "Give the guest the processor's clock (CPU `host`, `invtsc=on`), or take no live snapshots of it."
        yield Reason("warning", what, remedy, "clock")


def _kernel(why_not: str) -> Iterator[Reason]:
    """A process of a node without Landlock is a laptop's; a host has Debian's kernel unless somebody changed it."""
    if why_not:
        what = f"its kernel does not confine borg ({why_not}): only the examination of each archive protects the "
        what += "files of this node from what another node wrote."
        remedy = "Boot Debian's own kernel, without an `lsm=` on its command line that omits landlock."
        yield Reason("warning", what, remedy, "updates")


def _keys(node: Node) -> Iterator[Reason]:
    """Without its keys a node can neither sign nor reach a peer, however well the rest of it is."""
    folder = node.layout.keys
    lacking = []
    for path in (*(folder / f"{purpose}_ed25519" for purpose in PURPOSES), folder / "age"):
        try:
            path.read_bytes()
        except FileNotFoundError:
            lacking.append(path.name)
        except OSError as error:
            who = "Run this with the account of the node."
            yield Reason("failed", f"{path}: {(error.strerror or 'cannot be read').lower()}.", who, "keys")
    if lacking:
        remedy = f"Restore them, or set it up again as a replacement, in an empty folder: `{typed.INIT}`."
        what = f"its keys are missing ({', '.join(lacking)}): it can sign and send nothing."
        yield Reason("failed", what, remedy, "keys")
