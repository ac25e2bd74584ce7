"""The paths that the newest generation lacks, by its signed header, and the older one that has them. This needs no key.

Headers name declared paths by their indices, so a blind peer names them by the bundle that was in force when they were
sealed (`trust/declared.py`). Older headers are only read, not proven again: each was when it was sealed or came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from appliance.backup.vault.evidence import read_own_receipt
from appliance.backup.vault.store import HEADER, Replica
from appliance.clock import utc_seconds
from appliance.errors import ApplianceError
from appliance.monitor.view import Missing
from appliance.node.handle import Node
from appliance.territory.model import Service
from appliance.trust.declared import declared_at
from appliance.trust.generation import Header, fields_of
from appliance.trust.receipt import Receipt

LOOKED_BACK_MAX = 1000
"""How many generations back the last whole one is looked for: almost three years of nights, six weeks of hours."""


@dataclass(frozen=True)
class Older:
    """A generation that is known here; `time` is what its writer's clock said, UTC seconds."""

    name: str
    time: float
    whole: bool
    missing: frozenset[int]


def back_from(newest: str, names: Iterable[str], read: Callable[[str], bytes]) -> Iterator[Older]:
    """Those of `names` (oldest first) up to `newest`, newest first; `read` gives the header of one of them."""
    known = [name for name in names if name <= newest]
    for name in reversed(known[-LOOKED_BACK_MAX:]):
        with suppress(ApplianceError, OSError, KeyError, TypeError, ValueError):
            fields = fields_of(read(name))
            missing = frozenset(fields.get("missing", ()))
            yield Older(name, utc_seconds(str(fields["time"])), bool(fields.get("whole", True)), missing)


def as_known(newest: Header, older: Iterable[Older]) -> tuple[Older, ...]:
    """`older` with what the writer knows of the newest of them, whatever its header says (`saved.known`)."""
    name, missing = newest.id.name, frozenset(newest.missing)
    return tuple(replace(it, whole=newest.whole, missing=missing) if it.name == name else it for it in older)


def older_held(replica: Replica, newest: str) -> tuple[Older, ...]:
    """The same of all whose headers are known to a holder."""
    names = sorted({*replica.folders(), *replica.history.newest(LOOKED_BACK_MAX)})
    return tuple(back_from(newest, names, lambda name: replica.read(name, HEADER)))


def newest_whole(node: Node, replica: Replica, older: Iterable[Older]) -> Receipt | None:
    """The receipt for the newest whole generation that is held here; None when none is."""
    for it in older:
        stored = replica.find(it.name) if it.whole else None
        if stored and stored.held:
            return read_own_receipt(node, replica, it.name)
    return None


def missing_of(folder: Path, service: Service, newest: Header, older: Iterable[Older]) -> tuple[Missing, ...]:
    """The declared paths that `newest` does not have whole, and when each was saved whole last, under the same name.

    `folder` is that of the bundle.
    """
    if not newest.missing:
        return ()
    found: dict[str, float] = {}
    known = tuple(older)
    names, *declared = declared_at(folder, service, utc_seconds(newest.time), *(it.time for it in known))
    wanted = [_named(names, index) for index in newest.missing]
    for it, then in zip(known, declared, strict=True):
        if it.whole or it.missing:  # one that is partial and names nothing may lack anything
            had = {*then} - {_named(then, index) for index in it.missing}
            found |= dict.fromkeys(had & {*wanted} - found.keys(), it.time)
    return tuple(Missing(name, found.get(name)) for name in wanted)


def _named(names: Sequence[str], index: int) -> str:
    return names[index] if index < len(names) else f"part {index + 1}"
