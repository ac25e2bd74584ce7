"""The requests to etcd's JSON gateway, as JSON values. Pure: keys and values in base64, numbers of 64 bits as text.

A lease, owner or intent changes in one transaction that compares revisions of last change: 0 is a key that is not
there, and a key that was put again has another one, whichever node put it.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from appliance.coordination import keys
from appliance.coordination.port import Alive, Claim, Intent, Lease

Body = dict[str, Any]


def acquire(claim: Claim) -> Body:
    """Put owner, history and holder, or the holder alone where the owner stays, if nothing has changed since it was
    seen. Both answers show what is there, and a claim made twice finds its own lease there."""
    holder, owner = keys.holder_key(claim.service), keys.owner_key(claim.service)
    puts = [put(holder, keys.held(claim), lease=claim.lease)]
    if not claim.resumes:
        value = keys.claimed(claim)
        puts += [put(owner, value), put(keys.history_key(claim.service, claim.seen), value)]
    return transaction({owner: claim.seen, holder: claim.ousts}, puts, record_of(claim.service))


def prove(lease: Lease) -> Body:
    """Whether the service is still held as `lease` says. It writes nothing: a beat must not wear a disk."""
    return transaction(_held(lease), [], record_of(lease.service))


def release(lease: Lease, reason: str, time: str) -> Body:
    """Put the owner as released and remove the holder, if the service is still ours."""
    value = keys.released(lease, reason, time)
    changes = [
        put(keys.owner_key(lease.service), value),
        put(keys.history_key(lease.service, lease.revision), value),
        delete(keys.holder_key(lease.service)),
    ]
    return transaction(_held(lease), changes, record_of(lease.service))


def intend(intent: Intent) -> Body:
    """Put `intent` if there is none."""
    key = keys.intent_key(intent.service)
    changes = [put(key, keys.intended(intent), lease=intent.lease)]
    return transaction({key: 0}, changes, record_of(intent.service))


def alive(report: Alive) -> Body:
    """The body of a put by itself."""
    body: Body = put(keys.alive_key(report.node), keys.is_alive(report), lease=report.lease)["request_put"]
    return body


def transaction(seen: Mapping[bytes, int], success: Sequence[Body], failure: Body) -> Body:
    """`success` if each key of `seen` was last changed at its revision, else `failure`."""
    compare = [
        {"key": encoded(key), "target": "MOD", "result": "EQUAL", "mod_revision": str(revision)}
        for key, revision in seen.items()
    ]
    return {"compare": compare, "success": list(success), "failure": [{"request_range": failure}]}


def put(key: bytes, value: bytes, *, lease: int = 0) -> Body:
    return {"request_put": {"key": encoded(key), "value": encoded(value), "lease": str(lease)}}


def delete(key: bytes) -> Body:
    return {"request_delete_range": {"key": encoded(key)}}


def record_of(service: str) -> Body:
    """Holder, intent and owner, in one range. The history, which grows for ever, comes before them."""
    return {"key": encoded(keys.holder_key(service)), "range_end": encoded(keys.after(keys.prefix(service)))}


def range_of(start: bytes, *, newest: int = 0) -> Body:
    """All keys that begin with `start`, by key; only the `newest` when that is not 0, the last changed first."""
    body: Body = {"key": encoded(start), "range_end": encoded(keys.after(start))}
    if newest:
        body |= {"limit": str(newest), "sort_order": "DESCEND", "sort_target": "MOD"}
    return body


def watch(start: bytes, from_revision: int) -> Body:
    created = {"key": encoded(start), "range_end": encoded(keys.after(start)), "start_revision": str(from_revision)}
    return {"create_request": created}


def grant(lease: int, ttl_seconds: int) -> Body:
    return {"ID": str(lease), "TTL": str(ttl_seconds)}


def of_lease(lease: int) -> Body:
    return {"ID": str(lease)}


def time_to_live(lease: int) -> Body:
    """Ask for the seconds that a lease has left, and the keys that go with it."""
    return {**of_lease(lease), "keys": True}


def encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _held(lease: Lease) -> Mapping[bytes, int]:
    return {
        keys.owner_key(lease.service): lease.revision,
        keys.holder_key(lease.service): lease.since,
    }
