"""Where the store keeps what, and how a value is written. Pure: bytes to values and back.

    svc/SERVICE/owner            durable; its revision orders the takeovers
    svc/SERVICE/holder           leased; gone when the holder is silent for its lease
    svc/SERVICE/intent           leased, short
    svc/SERVICE/history/SEEN     durable: who replaced the owner of revision SEEN, 20 digits; a takeover uses one up
    nodes/NODE/alive             leased

The description of a service (policy, origin, standbys) is not here: the signed bundle has it, and etcd is believed for
nothing that a signature can say. A lease has a number that its node chose: the upper half names the node, so that a
broker lets nobody renew or end another's; the lower is random, so that a call made twice is known to be one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from appliance.coordination.port import INTENTS, Alive, Claim, Intent, Lease, LeaseHolder, Moved, Owner, ServiceRecord
from appliance.errors import IntegrityError, Refused

FORMAT = 1
VALUE_BYTES_MAX = 4096
LEASE_BITS = 32
SERVICES, NODES = b"svc/", b"nodes/"


@dataclass(frozen=True)
class Entry:
    """A key as the store has it. `revision` is that of its last change, `lease` 0 when it is durable."""

    key: bytes
    value: bytes
    revision: int
    lease: int = 0


def prefix(service: str) -> bytes:
    return SERVICES + f"{service}/".encode()


def owner_key(service: str) -> bytes:
    return prefix(service) + b"owner"


def holder_key(service: str) -> bytes:
    return prefix(service) + b"holder"


def is_holder_key(key: bytes) -> bool:
    return key.startswith(SERVICES) and key.endswith(b"/holder")


def intent_key(service: str) -> bytes:
    return prefix(service) + b"intent"


def history_prefix(service: str) -> bytes:
    return prefix(service) + b"history/"


def history_key(service: str, seen: int) -> bytes:
    return history_prefix(service) + f"{seen:020}".encode()


def alive_key(node: str) -> bytes:
    return NODES + f"{node}/alive".encode()


def after(start: bytes) -> bytes:
    """The first key behind all that begin with `start`."""
    return start[:-1] + bytes((start[-1] + 1,))


def new_lease(node: str, random: int) -> int:
    """A lease of `node`; `random` tells it from its others."""
    return _mark(node) << LEASE_BITS | random % (1 << LEASE_BITS)


def is_lease_of(node: str, lease: int) -> bool:
    """Whether `node` chose `lease`, so that it may renew and end it."""
    return 0 < lease < 1 << 63 and lease >> LEASE_BITS == _mark(node)


def claimed(claim: Claim) -> bytes:
    """The owner that `claim` makes."""
    return _owner(claim.node, claim.reason, claim.time, released=False)


def released(lease: Lease, reason: str, time: str) -> bytes:
    """The owner that a release leaves."""
    return _owner(lease.node, reason, time, released=True)


def held(claim: Claim) -> bytes:
    return _value(node=claim.node, boot_id=claim.begun_by)


def intended(intent: Intent) -> bytes:
    return _value(
        kind=intent.kind,
        to=intent.to,
        by=intent.by,
        reason=intent.reason,
        act=intent.act,
        ttl_seconds=intent.ttl_seconds,
    )


def is_alive(alive: Alive) -> bytes:
    return _value(node=alive.node, boot_id=alive.boot_id, ttl_seconds=alive.ttl_seconds)


def record_from(service: str, entries: Iterable[Entry], revision: int) -> ServiceRecord:
    """The state that the `entries` of a service make at `revision`; raise IntegrityError for what no node wrote."""
    record = ServiceRecord(service, revision)
    for entry in entries:
        record = changed(record, entry, revision)
    return record


def changed(record: ServiceRecord, entry: Entry, revision: int) -> ServiceRecord:
    """`record` once `entry` stands in it, at the store's `revision`."""
    match entry.key.removeprefix(prefix(record.service)):
        case b"owner":
            return replace(record, revision=revision, owner=read_owner(entry))
        case b"holder":
            return replace(record, revision=revision, holder=read_holder(entry))
        case b"intent":
            return replace(record, revision=revision, intent=read_intent(record.service, entry))
    return replace(record, revision=revision)


def without(record: ServiceRecord, key: bytes, revision: int) -> ServiceRecord:
    """`record` once `key` has gone from it, at the store's `revision`."""
    match key.removeprefix(prefix(record.service)):
        case b"owner":
            return replace(record, revision=revision, owner=None)
        case b"holder":
            return replace(record, revision=revision, holder=None)
        case b"intent":
            return replace(record, revision=revision, intent=None)
    return replace(record, revision=revision)


def read_owner(entry: Entry) -> Owner:
    read = _Reader(entry)
    return Owner(read.text("node"), read.text("reason"), read.text("time"), read.flag("released"), entry.revision)


def read_holder(entry: Entry) -> LeaseHolder:
    read = _Reader(entry)
    return LeaseHolder(read.text("node"), read.text("boot_id"), entry.lease, entry.revision)


def read_intent(service: str, entry: Entry) -> Intent:
    read = _Reader(entry)
    kind = read.text("kind")
    if kind not in INTENTS:
        raise IntegrityError(f'the store names the intent "{kind}", which this version does not know.')
    to, by, reason, act = (read.text(name) for name in ("to", "by", "reason", "act"))
    return Intent(service, kind, to, by, reason, entry.lease, read.number("ttl_seconds"), act)


def read_history(service: str, entries: Iterable[Entry]) -> Iterator[Moved]:
    for entry in entries:
        owner = read_owner(entry)
        previous = entry.key.removeprefix(history_prefix(service))
        if not previous.isdigit():
            raise IntegrityError(f"{_shown(entry.key)} is not an entry of a history.")
        yield Moved(owner.node, owner.reason, owner.time, owner.released, owner.revision, int(previous))


def read_alive(entries: Iterable[Entry]) -> Iterator[Alive]:
    for entry in entries:
        read = _Reader(entry)
        yield Alive(read.text("node"), read.text("boot_id"), entry.lease, read.number("ttl_seconds"))


def _mark(node: str) -> int:
    """31 bits that tell the nodes of a territory apart, never 0: the store takes positive leases only."""
    return int.from_bytes(hashlib.sha256(node.encode()).digest()[:4]) >> 1 | 1


def _owner(node: str, reason: str, time: str, *, released: bool) -> bytes:
    return _value(node=node, reason=reason, time=time, released=released)


def _value(**fields: str | int) -> bytes:
    value = json.dumps({"format": FORMAT, **fields}, ensure_ascii=False, separators=(",", ":")).encode()
    if len(value) > VALUE_BYTES_MAX:
        raise Refused(
            f"{len(value)} bytes are more than the store accepts ({VALUE_BYTES_MAX}).", remedy="Shorten the text."
        )
    return value


class _Reader:
    """The fields of a value. A voter that lies must get no further than a sentence."""

    def __init__(self, entry: Entry) -> None:
        self._key = _shown(entry.key)
        if len(entry.value) > VALUE_BYTES_MAX:
            raise self._wrong(f"has {len(entry.value)} bytes")
        try:
            fields = json.loads(entry.value)
        except (ValueError, RecursionError) as error:
            raise self._wrong("is not readable JSON") from error
        if not isinstance(fields, dict):
            raise self._wrong("is not an object")
        if fields.get("format") != FORMAT:
            what = f"{self._key} in the store has format {fields.get('format')!r}; this version reads {FORMAT}."
            raise Refused(what, remedy="Upgrade this node.")
        self._fields: dict[str, Any] = fields

    def text(self, name: str) -> str:
        return str(self._typed(name, str))

    def number(self, name: str) -> int:
        return int(self._typed(name, int))

    def flag(self, name: str) -> bool:
        return bool(self._typed(name, bool))

    def _typed(self, name: str, kind: type) -> Any:
        value = self._fields.get(name)
        if type(value) is not kind:
            raise self._wrong(f'lacks its field "{name}"')
        return value

    def _wrong(self, what: str) -> IntegrityError:
        return IntegrityError(f"{self._key} in the store {what}: none of our nodes wrote it.")


def _shown(key: bytes) -> str:
    return repr(key[:100].decode(errors="replace"))
