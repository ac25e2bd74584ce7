"""The bundle as root obeys it on a host: no older one than it obeyed before.

The account of the node owns the file and could put a former bundle back, whose signature holds: with keys that were
revoked since, and the access that callers had then. So root keeps the highest serial that it obeyed where it alone
writes.

Invariant: the serial is noted before anything is done by it. A run that is cut in between is made again by the same
bundle, which is no older; noted last, what was already done could be undone by the bundle before.
"""

from __future__ import annotations

from pathlib import Path

from appliance.errors import IntegrityError, Refused
from appliance.host.files import locked, write_atomic
from appliance.host.layout import NodeLayout
from appliance.trust.bundle import Bundle
from appliance.trust.identity import Identity, load_territory

SERIAL_OF_A_HOST = Path("/etc/appliance/serial")
"""One line: the serial, and the key of the territory whose it is. Another territory starts to count again: root pins
its key."""
LOCK = Path("/run/appliance-serial.lock")


def territory_for_root(layout: NodeLayout, *, dry_run: bool = False) -> tuple[Identity, Bundle]:
    """Our identity and the bundle that root may act by, noted unless `dry_run`; in process mode nothing is asked or
    kept.

    Raise Refused when root obeyed a later one, in a dry run too.
    """
    if not layout.is_this_host:
        return load_territory(layout)
    # Read within it, too: else who read a bundle before another noted the next one would note a lower serial after it.
    with locked(LOCK, what="the serial of the bundle", wait=True):
        identity, bundle = load_territory(layout)
        known = check_not_older(bundle, SERIAL_OF_A_HOST, where=str(layout.bundle))
        if bundle.serial > known and not dry_run:
            write_atomic(SERIAL_OF_A_HOST, f"{bundle.serial} {bundle.territory_key}\n".encode())
    return identity, bundle


def check_not_older(bundle: Bundle, noted: Path, *, where: str = "") -> int:
    """The serial in the file `noted`, 0 for none of this territory; raise Refused when `bundle` has a lower one."""
    known = _noted(noted, bundle.territory_key)
    if bundle.serial < known:
        raise Refused(
            f"bundle {bundle.serial} is older than bundle {known}, which root already applied to this host.",
            where=where,
            remedy="Accept the newest again: `appliance node accept BUNDLE`.",
        )
    return known


def _noted(file: Path, territory_key: str) -> int:
    if not file.exists():
        return 0
    serial, _, key = file.read_text().strip().partition(" ")
    if not serial.isdecimal() or not key:
        raise IntegrityError(
            "the serial recorded by root is damaged.",
            where=str(file),
            remedy="Accept the newest bundle, then remove this file.",
        )
    return int(serial) if key == territory_key else 0
