"""An absence: a node of a service says under its signature since when it has not reached another one of it.

One such word proves little: a line may be cut, a node may lie. For the meaning of several together see
`backup/peers/absence_rule.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.clock import utc_seconds
from appliance.errors import IntegrityError, Refused
from appliance.trust import signed
from appliance.trust.signed import NAME, Document

TYPE = "appliance/absence"


@dataclass(frozen=True)
class Absence:
    """`since` and `time` are UTC: when `observer` last reached `absent`, and when it says so.

    `last_seen_age` is what lies between them by the observer's own ageing clock, in seconds: the time that counts.
    """

    observer: str
    absent: str
    service: str
    since: str
    time: str
    last_seen_age: int
    document: Document

    @property
    def said_at(self) -> float:
        """When it was said, seconds UTC."""
        return utc_seconds(self.time)


def make_absence(
    key: Ed25519PrivateKey, *, observer: str, absent: str, service: str, since: str, time: str, last_seen_age: int
) -> bytes:
    fields = {
        "observer": observer,
        "absent": absent,
        "service": service,
        "since": since,
        "time": time,
        "last_seen_age": last_seen_age,
    }
    return signed.make(TYPE, fields, key)


def read_absence(raw: bytes, keys: Mapping[str, str]) -> Absence:
    """The absence in `raw`, signed by its observer's key, which is in `keys` by the observer's name."""
    document = signed.read(raw, TYPE, tuple(keys.values()))
    observer = document.text("observer", NAME)
    if keys.get(observer) != document.signer:
        raise Refused(f"{TYPE} is not signed by {observer}, the observer that it names.")
    return Absence(
        observer=observer,
        absent=document.text("absent", NAME),
        service=document.text("service", NAME),
        since=_time(document, "since"),
        time=_time(document, "time"),
        last_seen_age=document.number("last_seen_age"),
        document=document,
    )


def _time(document: Document, name: str) -> str:
    text = document.text(name)
    try:
        utc_seconds(text)
    except ValueError as error:
        raise IntegrityError(f'{TYPE}: field "{name}" is not a time such as 2026-11-25T08:00:00Z.') from error
    return text
