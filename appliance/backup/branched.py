"""Branches of a service, in its repository beside its own archives: what a home wrote alone lies on one disk before.

They have names of their own, which no list of versions shows and no pruning touches, and leave with the generation
that is sealed next. Each is saved once, by the first run of the node that keeps it and writes the service again.
"""

from __future__ import annotations

import os

from appliance.backup.sources import LeftOut
from appliance.borg.client import Borg
from appliance.borg.names import branch_name, branch_of
from appliance.borg.nonce import check_nonce, next_nonce
from appliance.clock import utc_text
from appliance.host.layout import ServiceLayout


def save_branches(borg: Borg, layout: ServiceLayout, service: str, epoch: int, now: float) -> tuple[LeftOut, ...]:
    """Save the branches kept in `layout` that the repository lacks, under the grant of `epoch`; what could not be."""
    kept = {int(it.name): it for it in layout.branches.glob("*") if it.name.isdigit() and it.is_dir()}
    if not kept:
        return ()
    saved = {branch_of(it.name) for it in borg.archives(branches=True)}
    left_out = list[LeftOut]()
    for number, folder in sorted(kept.items()):
        if number not in saved and (paths := sorted(os.listdir(folder))):
            check_nonce(next_nonce(borg.repository), epoch)
            created = borg.create(branch_name(service, number, utc_text(now)), paths, cwd=folder)
            left_out += [LeftOut(f"{folder}/{it.path}", it.reason) for it in created.warnings]
    return tuple(left_out)
