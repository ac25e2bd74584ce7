"""What failover must not forget of one service: durable facts in one file, and the lease of this boot in another.

The file is written before what it allows is done: that writes may exist here and nowhere else before the service
starts, that this node let go before its lease is given back.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from appliance.coordination.port import Lease
from appliance.errors import IntegrityError
from appliance.host.files import make_private_folder, write_atomic
from appliance.node.branch import Branch

FORMAT = 1
FILE = "failover.json"
_ON_DISK = {
    "unreplicated_writes": "tail",
    "revoked_lease_epoch": "robbed_epoch",
    "lease": "holding",
    "old_writer_stops_at": "deposed_until",
}
"""Where a field has another name in its file."""


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
    unreplicated_writes: bool = False
    branch: Branch = Branch.NONE
    adopts: bool = False
    served_acts: tuple[str, ...] = ()
    generation: str = ""
    revoked_lease_epoch: int = 0
    synced: str = ""
    given: str = ""
    required: str = ""
    deposed_seconds: int = 0


def load(path: Path) -> DurableState | None:
    """What was kept; None when nothing was yet. Raise IntegrityError for a file that cannot be read."""
    try:
        found = json.loads(path.read_bytes())
        if found.pop("format") != FORMAT:
            raise ValueError("another format")
        acts = tuple(map(str, found.pop("served_acts")))
        return DurableState(branch=Branch(found.pop("branch")), served_acts=acts, **_from_disk(found, DurableState))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        remedy = "Stop the service here, fetch its newest generation (`appliance backup resync`), remove the file."
        raise IntegrityError(
            f"the durable state of failover cannot be read ({error}).", where=str(path), remedy=remedy
        ) from error


def save(path: Path, durable: DurableState) -> None:
    make_private_folder(path.parent)
    write_atomic(path, json.dumps({"format": FORMAT, **_to_disk(durable)}).encode(), mode=0o600)


def _to_disk(value: DurableState | ProvenLease) -> dict[str, Any]:
    return {_ON_DISK.get(name, name): it for name, it in asdict(value).items()}


def _from_disk(found: Mapping[str, Any], kind: type[DurableState | ProvenLease]) -> dict[str, Any]:
    """The fields of a `kind`, by their names in its file; raise TypeError for a name that none has."""
    names = {_ON_DISK.get(it.name, it.name): it.name for it in fields(kind)}
    if unknown := found.keys() - names:
        raise TypeError(f"unknown: {', '.join(sorted(unknown))}")
    return {names[name]: value for name, value in found.items()}


@dataclass(frozen=True)
class ProvenLease:
    """A lease as proven last, of the boot `boot_id`: `epoch` is granted, or asked for above `above`."""

    boot_id: str
    lease: Lease
    epoch: int
    above: int = 0
    old_writer_stops_at: float = 0.0

    def renewed(self, lease: Lease) -> ProvenLease:
        return replace(self, lease=lease)


def load_lease(path: Path, boot_id: str) -> ProvenLease | None:
    """The lease that an agent of this boot left; None when there is none."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        found: dict[str, Any] = json.loads(path.read_bytes())
        if found["boot_id"] == boot_id:
            found["holding"] = Lease(**found["holding"])
            return ProvenLease(**_from_disk(found, ProvenLease))
    return None


def save_lease(path: Path, proven: ProvenLease | None) -> None:
    """Keep `proven` for the next agent of this boot; it need not outlive the boot, so nothing waits for the disk."""
    if proven is None:
        path.unlink(missing_ok=True)
        return
    # With every renewal: no Path for it.
    folder, name = os.path.split(path)
    with open(new := f"{folder}/.{name}.new", "w") as file:
        file.write(json.dumps(_to_disk(proven)))
    os.rename(new, path)
