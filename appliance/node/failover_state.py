"""The durable state of one service in failover: facts that must outlive a restart in one file, and the lease of this
boot in another.

The file is written before the act that it allows: that writes may exist here and nowhere else before the service
starts, that this node let go before its lease is given back.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from appliance.coordination.port import Lease
from appliance.host.files import make_private_folder
from appliance.host.records import KEPT_AS, Record
from appliance.node.branch import Branch

FILE = "failover.json"


@dataclass(frozen=True)
class DurableState:
    """As `model.Seen` says. `adopts`: another wrote before the grant that is here, so its files are taken over.
    `served_acts`: digests of acts that promoted already, or were left over beside one that did. `generation`: which one
    to go on from, as such an act named it, "" for the newest. `revoked_lease_epoch`: under which the lease was gone
    before it could end, 0 while none was or it is held again. `synced`: the last generation under `opened_epoch`, which
    has all that was acknowledged. `given`: that of the release that was signed here, until a successor is known to have
    gone on from it. `required`: with which the epoch before the grant here was given up; it is gone on from that one or
    from what continues it. `deposed_seconds`: the longest lease of the holders that takeovers from here deposed, until
    an epoch is opened here."""

    opened_epoch: int = 0
    acknowledged_epoch: int = 0
    refused_by_epoch: int = 0
    released_epoch: int = 0
    unreplicated_writes: bool = field(default=False, metadata={KEPT_AS: "tail"})
    branch: Branch = Branch.NONE
    adopts: bool = False
    served_acts: tuple[str, ...] = ()
    generation: str = ""
    revoked_lease_epoch: int = field(default=0, metadata={KEPT_AS: "robbed_epoch"})
    synced: str = ""
    given: str = ""
    required: str = ""
    deposed_seconds: int = 0


DURABLE = Record(
    DurableState,
    1,
    "the durable state of failover cannot be read",
    "Stop the service here, fetch its newest generation (`appliance backup resync SERVICE --request FILE`), remove the "
    "file.",
    defaults=True,  # an earlier version kept fewer; these it always kept, and they must not be guessed
    required=frozenset({"branch", "served_acts"}),
)


def load(path: Path) -> DurableState | None:
    """Return what was kept; None when nothing was yet. Raise IntegrityError for a file that cannot be read."""
    return DURABLE.load(path)


def save(path: Path, durable: DurableState) -> None:
    make_private_folder(path.parent)
    DURABLE.save(path, durable)


@dataclass(frozen=True)
class ProvenLease:
    """A lease as proven last, of the boot `boot_id`: `epoch` is granted, or asked for above `above`."""

    boot_id: str
    lease: Lease = field(metadata={KEPT_AS: "holding"})
    epoch: int
    above: int = 0
    old_writer_stops_at: float = field(default=0.0, metadata={KEPT_AS: "deposed_until"})

    def renewed(self, lease: Lease) -> ProvenLease:
        return replace(self, lease=lease)


PROVEN = Record(ProvenLease)


def load_lease(path: Path, boot_id: str) -> ProvenLease | None:
    """The lease that an agent of this boot left; None when there is none."""
    found = PROVEN.load_or(path, None)
    return found if found and found.boot_id == boot_id else None


def save_lease(path: Path, proven: ProvenLease | None) -> None:
    """Keep `proven` for the next agent of this boot; it need not outlive the boot, so nothing waits for the disk."""
    if proven is None:
        path.unlink(missing_ok=True)
        return
    # With every renewal: no Path for it.
    folder, name = os.path.split(path)
    with open(new := f"{folder}/.{name}.new", "wb") as file:
        file.write(PROVEN.to_bytes(proven))
    os.rename(new, path)
