"""The history of a service as JSON lines: `appliance lab check` judges a file of them. Pure.

    {"t_boottime": 12.5, "wall": 1800000012.5, "node": "commune-a", "boot_id": "…", "svc": "docs-a", "epoch": 3,
     "event": "writer-start", …}

Every line has these; `epoch` is 0 where none is meant. Agents, storage peers, clients and the injectors of faults each
write lines of their own; put together in any order they are one history. The events and what else they carry:

    begin           policy home ttl stop epsilon grace cooldown rto expects   once: what the run is judged by
    state           state row                                 a node changed its state, by that row of the table
    writer-start [took]  writer-stop address-add address-del   the service's programs, which `took` so many seconds to
                                                              start, and its address, at `node`
    renewal-proven  sent ttl [lease]                          at the holder
    holder-deleted  holder cause(expired released deposed) [lease]   as a node hears it from the voters, maybe late
    takeover-asked takeover-won  by(vacancy release act)      by the voters' transaction; `epoch` where it is known then
    granted                                                   a majority of brokers signed `epoch` for this node
    proof-of-death  of kind(release act witness)
    received        writer n accepted                         at a storage peer: a write that arrived
    op              type(invoke ok fail info) f(add read) value server lan    `node` is the client; info: not known
    branch          values                                    kept apart at `node`
    fault heal      fault target                              freeze and kill of a node matter to the checks
    handover        to                                        a planned move began
    healed          every fault is healed, and everybody may reach everybody
    end             holder owner states                       nothing comes after it

Times of machines that do not share a boot id cannot be compared.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from appliance.errors import UsageError

EVENTS = {
    "begin": ("policy", "home"),
    "state": ("state", "row"),
    "writer-start": (),
    "writer-stop": (),
    "address-add": (),
    "address-del": (),
    "renewal-proven": ("sent", "ttl"),
    "holder-deleted": ("holder", "cause"),
    "takeover-asked": ("by",),
    "takeover-won": ("by",),
    "granted": (),
    "proof-of-death": ("of", "kind"),
    "received": ("writer", "n", "accepted"),
    "op": ("type", "f"),
    "branch": ("values",),
    "fault": ("fault", "target"),
    "heal": ("fault", "target"),
    "handover": ("to",),
    "healed": (),
    "end": ("holder", "owner", "states"),
}


@dataclass(frozen=True)
class Event:
    """One line; `line` is its number in the file, for people who look it up."""

    line: int
    t: float
    node: str
    boot_id: str
    service: str
    epoch: int
    event: str
    more: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.more[name]

    def get(self, name: str, default: Any = "") -> Any:
        return self.more.get(name, default)


def read_line(line: str, number: int, where: str) -> Event:
    place = f"{where}:{number}"
    try:
        values = json.loads(line)
        fixed: dict[str, Any] = {
            "t": float(values.pop("t_boottime")),
            "node": str(values.pop("node")),
            "boot_id": str(values.pop("boot_id")),
            "service": str(values.pop("svc")),
            "epoch": int(values.pop("epoch")),
            "event": str(values.pop("event")),
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        remedy = "Each line is a JSON object with t_boottime, wall, node, boot_id, svc, epoch and event."
        raise UsageError(f"this is not a line of a history ({error}).", where=place, remedy=remedy) from error
    if fixed["event"] not in EVENTS:
        raise UsageError(f'unknown event "{fixed["event"]}"; known: {", ".join(EVENTS)}.', where=place)
    missing = [name for name in EVENTS[fixed["event"]] if name not in values]
    if missing or not math.isfinite(fixed["t"]):
        raise UsageError(f'"{fixed["event"]}" lacks {", ".join(missing) or "a time"}.', where=place)
    return Event(line=number, more=values, **fixed)


def line(moment: tuple[float, float, str], node: str, service: str, epoch: int, event: str, **more: object) -> str:
    """One line for a history, without its end. `moment`: CLOCK_BOOTTIME, wall time and boot id of who writes.

    Raise UsageError for an event or a lack of something that `read` would refuse: found when it is written, not judged.
    """
    boottime, wall, boot_id = moment
    fixed = {"t_boottime": round(boottime, 3), "wall": round(wall, 3), "node": node, "boot_id": boot_id}
    text = json.dumps({**fixed, "svc": service, "epoch": epoch, "event": event, **more}, ensure_ascii=False)
    read_line(text, 0, node)
    return text
