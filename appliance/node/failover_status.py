"""The status that the program which runs services gives to the rest of its node: a file for each, rewritten when it
changes.

Moments are CLOCK_BOOTTIME of the boot in which it was written, None while the thing is not so; `owned` is the owner's
own clock, UTC seconds. None of it decides anything: people and monitoring read it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from appliance.host.records import Record


@dataclass(frozen=True)
class ServiceStatus:
    """`epoch`: of the newest grant that names this node; `newest_epoch` and `writer`: of the newest that was shown.

    `holder` is "" when nobody holds the service, None while no majority of the voters says anything; `unheard_since` is
    when one last did. `contested_since`: the node at work for it is not the one that the newest grant names.
    `unkept_since`: writes that were made here alone are not kept apart yet. `unserved_since`: it was to be served here,
    and did not start. `fit` says why the copy here could not be served, `trouble` why the last try of each action
    failed.
    """

    service: str
    boot_id: str
    state: str
    row: str
    reason: str
    epoch: int = 0
    newest_epoch: int = 0
    writer: str = ""
    holder: str | None = None
    owned: float | None = None
    fit: str = ""
    trouble: Mapping[str, str] = field(default_factory=dict)
    vacant_since: float | None = None
    unheard_since: float | None = None
    contested_since: float | None = None
    paused_since: float | None = None
    paused_by: str = ""
    quarantined: bool = False
    unkept_since: float | None = None
    unserved_since: float | None = None


KEPT = Record(ServiceStatus, defaults=True)


def path_of(run: Path, service: str) -> Path:
    """`run` is what failover knows of this boot."""
    return run / f"{service}.json"


def save(run: Path, status: ServiceStatus) -> None:
    """It need not outlive a boot, so nothing waits for the disk; a full one only leaves what was told before."""
    path = path_of(run, status.service)
    new = path.with_name(f".{path.name}.new")
    with contextlib.suppress(OSError):
        new.write_bytes(KEPT.to_bytes(status))
        new.rename(path)


def load_of_boot(run: Path, service: str, boot_id: str) -> ServiceStatus | None:
    """Return the last status of this very boot; None when there was none."""
    status = load(run, service)
    return status if status and status.boot_id == boot_id else None


def is_handing_over(run: Path, service: str, boot_id: str) -> bool:
    """Whether this node is handing `service` over, as was told last in this very boot."""
    status = load_of_boot(run, service, boot_id)
    return status is not None and status.state == "DRAINING"


def load(run: Path, service: str) -> ServiceStatus | None:
    """Return the last status; None when there was none, or another version of the software wrote it."""
    return KEPT.load_or(path_of(run, service), None)
