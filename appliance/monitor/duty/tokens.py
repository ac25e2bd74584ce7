"""The token in the link of a letter: who got the letter, about which alerts, and when; the queue that made it signs it.

It is good for these alerts alone and for as long as they last, for that person, and once: after the acknowledgement
that it gave has ended, a newer letter has another one. Pure.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass

from appliance.errors import IntegrityError

ALERTS_MAX = 30
"""A letter about more has no link, which would be too long for a mail program; `appliance monitor acknowledge` takes
them by name."""
TOKENS = "/acknowledgement/"
"""Where the queue is told one."""
KEY_BYTES = 32
PURPOSE = b"appliance acknowledgement 1\n"
FINGERPRINT = re.compile(r"[0-9a-f]{16}")
_TOKEN = re.compile(r"([a-z][a-z0-9-]{0,62})\.([0-9a-f]{1,12})\.([A-Za-z0-9_-]{1,400})\.([A-Za-z0-9_-]{22})")


@dataclass(frozen=True)
class Asked:
    """`person` wants to take care of the alerts of these fingerprints; `at`, UTC seconds, is when the letter that told
    of them was made, or the person's statement was signed."""

    person: str
    fingerprints: tuple[str, ...]
    at: float


def make_token(key: bytes, asked: Asked) -> str:
    """The token of `asked`; "" where there is nothing to acknowledge, or too much."""
    if not 0 < len(asked.fingerprints) <= ALERTS_MAX or not all(map(FINGERPRINT.fullmatch, asked.fingerprints)):
        return ""
    alerts = _text(bytes.fromhex("".join(asked.fingerprints)))
    signed = f"{asked.person}.{int(asked.at):x}.{alerts}"
    return f"{signed}.{_mark(key, signed)}"


def read_token(key: bytes, token: str) -> Asked:
    """The inverse; raise IntegrityError for a token that was not made with `key`."""
    found = _TOKEN.fullmatch(token)
    signed = token.rpartition(".")[0]
    if not found or not hmac.compare_digest(_mark(key, signed), found[4]):
        raise IntegrityError("this link was not made here.", remedy="Open the newest letter about the alert.")
    alerts = base64.urlsafe_b64decode(found[3] + "=" * (-len(found[3]) % 4)).hex()
    return Asked(found[1], tuple(alerts[it : it + 16] for it in range(0, len(alerts), 16)), float(int(found[2], 16)))


def _mark(key: bytes, signed: str) -> str:
    return _text(hmac.new(key, PURPOSE + signed.encode(), hashlib.sha256).digest()[:16])


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
