"""Branches that a node keeps: what was written here while another wrote the service. None ever goes away by itself."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from appliance.clock import utc_text
from appliance.host.files import write_atomic
from appliance.host.journal import Journal
from appliance.host.layout import NodeLayout


@dataclass(frozen=True)
class Branch:
    """What was written under `epoch`; `settled`: what was decided about it, None while nothing is."""

    service: str
    epoch: int
    folder: Path
    settled: Mapping[str, Any] | None = None

    @property
    def mark(self) -> Path:
        return self.folder.with_name(f"{self.epoch}.json")

    @property
    def is_left(self) -> bool:
        """Whether nothing of it is wanted: a person said so, or others went on from all of it."""
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


def settle(branch: Branch, moment: float, journal: Journal, *, merged: bool, **told: object) -> None:
    """Note what was decided about `branch` at `moment`, UTC seconds: with `merged`, all of it is where it belongs."""
    decided = {"format": 1, "time": utc_text(moment), "merged": merged, **told}
    write_atomic(branch.mark, json.dumps(decided).encode())
    journal.write("branch-settled", service=branch.service, epoch=branch.epoch, merged=merged, **told)


def waiting(layout: NodeLayout, service: str) -> tuple[Branch, ...]:
    """Those about which nobody has decided."""
    return tuple(it for it in branches(layout, service) if it.settled is None)


def _settled(mark: Path) -> Mapping[str, Any] | None:
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(mark.read_bytes())
        return dict(found) if isinstance(found, dict) else None
    return None
