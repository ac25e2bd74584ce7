"""The promises that a broker made by its signatures, durable before each one leaves: never two grants of one epoch.

Invariant: a signature exists only for what is in the file, so a broker that was cut, restarted or asked again signs the
same line or none. The file names the machine: it belongs beside the state folder, as the lineage does, and bringing the
folder back from an image, or cloning the disk, brings back no promise that was forgotten since. A broker without its
file signs nothing: it was a voter when it lost it, and another box is another voter of a later term.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from appliance import typed
from appliance.errors import IntegrityError, Refused
from appliance.host.files import write_atomic
from appliance.trust.generation import EPOCH_MAX
from appliance.trust.signed import SHA256

FORMAT = 1
REMEDY = f"Give the node new keys as a new voter, in an empty folder: `{typed.INIT}`. The other voters continue."


@dataclass(frozen=True)
class Promised:
    """The promises for one service. `lines`: epoch to the digest of the line signed for it. `present`: the newest epoch
    that was shown as granted when this broker signed. `acts`: digest of each act that it signed by, and the epoch
    replaced by it."""

    lines: Mapping[int, str] = field(default_factory=dict)
    present: int = 0
    acts: Mapping[str, int] = field(default_factory=dict)

    @property
    def highest(self) -> int:
        return max(self.lines, default=0)

    def may_use(self, act: str, present: int) -> bool:
        """Whether the act of the digest `act` may replace the writer of epoch `present`: each does so once."""
        return self.acts.get(act, present) == present

    def with_line(self, epoch: int, line: str, present: int, act: str) -> Promised:
        """This, and the promise to sign for `epoch` nothing but `line`, with `present` the epoch that it replaces."""
        acts = {**self.acts, act: present} if act else self.acts
        return Promised({**self.lines, epoch: line}, max(self.present, present), acts)


@dataclass(frozen=True)
class Promises:
    """All of a broker's promises, in the file `path`."""

    path: Path
    machine: str
    services: Mapping[str, Promised] = field(default_factory=dict)

    def of(self, service: str) -> Promised:
        return self.services.get(service, Promised())

    def keep(self, service: str, promised: Promised) -> Promises:
        """With `promised` of `service`, on the disk when this returns."""
        kept = replace(self, services={**self.services, service: promised})
        fields = {
            "format": FORMAT,
            "machine": kept.machine,
            "services": {name: asdict(it) for name, it in sorted(kept.services.items())},
        }
        write_atomic(kept.path, json.dumps(fields, indent=1).encode() + b"\n", mode=0o600)
        return kept


def begin_promises(path: Path, machine: str) -> Promises:
    """The empty file of a node that was just made and never signed; raise Refused over one that is there."""
    if path.exists():
        raise Refused("this broker has already made promises.", where=str(path))
    made = Promises(path, machine)
    write_atomic(path, json.dumps({"format": FORMAT, "machine": machine, "services": {}}).encode() + b"\n", mode=0o600)
    return made


def load_promises(path: Path, machine: str) -> Promises:
    """Return the promises of this `machine`; raise Refused or IntegrityError, and let nothing be signed, otherwise."""
    try:
        fields = json.loads(path.read_bytes())
        known = {str(name): _promised(each) for name, each in fields["services"].items()}
        found, format_ = fields["machine"], fields["format"]
    except FileNotFoundError as error:
        raise Refused("this broker does not know what it promised.", where=str(path), remedy=REMEDY) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise IntegrityError("the record of promises cannot be read.", where=str(path), remedy=REMEDY) from error
    if format_ != FORMAT:
        raise Refused(f"promises of format {format_!r}; this version reads {FORMAT}.", remedy="Upgrade this node.")
    if found != machine:
        raise Refused("these promises were made on another machine.", where=str(path), remedy=REMEDY)
    return Promises(path, machine, known)


def _promised(values: Mapping[str, Any]) -> Promised:
    lines = {_epoch(int(epoch)): _digest(line) for epoch, line in values["lines"].items()}
    acts = {_digest(act): _epoch(epoch) for act, epoch in values["acts"].items()}
    return Promised(lines, _epoch(values["present"]), acts)


def _epoch(value: object) -> int:
    if type(value) is not int or not 0 <= value <= EPOCH_MAX:
        raise ValueError(f"{value!r} is not an epoch")
    return value


def _digest(value: object) -> str:
    if not isinstance(value, str) or not SHA256.fullmatch(value):
        raise ValueError(f"{value!r} is not a digest")
    return value
