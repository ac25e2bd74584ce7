"""Branches that a node keeps: what was written here while another wrote the service. None ever goes away by itself."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from appliance.clock import utc_text
from appliance.host.files import write_atomic
from appliance.host.journal import Journal
from appliance.host.layout import NodeLayout


@dataclass(frozen=True)
class Branch:
    """The files written under `epoch`; `settled`: what was decided about it, None while nothing is."""

    service: str
    epoch: int
    folder: Path
    settled: Mapping[str, Any] | None = None

    @property
    def mark(self) -> Path:
        return self.folder.with_name(f"{self.epoch}.json")

    @property
    def is_left(self) -> bool:
        """Whether nothing of it is wanted: a person said so, or others have all of it."""
        return self.settled is not None and (self.settled.get("merged") is False or self.settled.get("known") is True)

    @property
    def refused(self) -> Path:
        """Why it was not saved in the service's repository, as long as that stands."""
        return self.folder.with_name(f"{self.epoch}.refused")


def branches(layout: NodeLayout, service: str) -> tuple[Branch, ...]:
    """All that this node keeps of `service`, oldest first."""
    found = []
    for folder in layout.service(service).branches.glob("*"):
        if folder.name.isdigit() and folder.is_dir():
            branch = Branch(service, int(folder.name), folder)
            found.append(replace(branch, settled=_settled(branch.mark)))
    return tuple(sorted(found, key=lambda it: it.epoch))


@dataclass(frozen=True)
class Settled:
    """The decision about a branch: with `merged`, all of it is where it belongs, `taken` of its files in place and
    `both` beside what is there; `known`: others went on from all of it, or have it."""

    merged: bool
    taken: int = 0
    both: int = 0
    known: bool = False


def settle(branch: Branch, settled: Settled, moment: float, journal: Journal) -> None:
    """Note at `moment`, UTC seconds, that this was decided about `branch`."""
    decided = {"format": 1, "time": utc_text(moment), **asdict(settled)}
    write_atomic(branch.mark, json.dumps(decided).encode())
    journal.write(
        "branch-settled",
        service=branch.service,
        epoch=branch.epoch,
        merged=settled.merged,
        taken=settled.taken,
        both=settled.both,
        known=settled.known,
    )


def waiting(layout: NodeLayout, service: str) -> tuple[Branch, ...]:
    """Those about which nobody has decided."""
    return tuple(it for it in branches(layout, service) if it.settled is None)


def _settled(mark: Path) -> Mapping[str, Any] | None:
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(mark.read_bytes())
        return dict(found) if isinstance(found, dict) else None
    return None
