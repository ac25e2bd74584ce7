"""The two fields that our programs read in a certificate of TLS: its public key, and its end.

Programs that run all year read nothing else of a certificate. cryptography.x509 reads both too, and costs each of them
some megabytes; `trust/pki.py` issues and judges certificates with it. This module judges nothing: who believes a field
has had OpenSSL verify the certificate before.
"""

from __future__ import annotations

import base64
import datetime
import re

from appliance.errors import IntegrityError

INTEGER, UTC_TIME, GENERALIZED_TIME, SEQUENCE, VERSION = 0x02, 0x17, 0x18, 0x30, 0xA0
TWENTIETH = "50"
"""A year of two digits from this one on belongs to the twentieth century (RFC 5280, 4.1.2.5.1)."""
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z", re.ASCII)


class _Values:
    """The values of DER one after the other; raise IntegrityError where another one, or none, follows."""

    def __init__(self, der: bytes, start: int = 0) -> None:
        self._der, self._position = der, start

    def tag(self) -> int:
        return self._der[self._position] if self._position < len(self._der) else -1

    def enter(self, tag: int) -> None:
        """Go to the first value inside the next one."""
        self._position, _ = self._content(tag)

    def skip(self, tag: int) -> bytes:
        """The content of the next value, which is left behind."""
        start, self._position = self._content(tag)
        return self._der[start : self._position]

    def whole(self, tag: int) -> bytes:
        """The next value with its tag and length."""
        start = self._position
        self.skip(tag)
        return self._der[start : self._position]

    def _content(self, tag: int) -> tuple[int, int]:
        if self.tag() != tag or self._position + 2 > len(self._der):
            raise _unreadable()
        size, start = self._der[self._position + 1], self._position + 2
        if size > 0x7F:  # so many bytes of length follow
            digits = size & 0x7F
            size, start = int.from_bytes(self._der[start : start + digits]), start + digits
        if start + size > len(self._der):
            raise _unreadable()
        return start, start + size


def public_key_in(der: bytes) -> str:
    """The public key of the certificate `der` as the bundle has it: base64 of its DER."""
    values = _at_validity(der)
    for _ in ("validity", "subject"):
        values.skip(SEQUENCE)
    return base64.b64encode(values.whole(SEQUENCE)).decode()


def end_of(pem: bytes) -> float:
    """When the first certificate in `pem` ends, in seconds since 1970."""
    found = _PEM.search(pem)
    try:
        der = base64.b64decode(found[1]) if found else b""
    except ValueError as error:
        raise _unreadable() from error
    values = _at_validity(der)
    values.enter(SEQUENCE)
    values.skip(values.tag())
    return _seconds(values.tag(), values.skip(values.tag()))


def _at_validity(der: bytes) -> _Values:
    values = _Values(der)
    values.enter(SEQUENCE)
    values.enter(SEQUENCE)
    if values.tag() == VERSION:
        values.skip(VERSION)
    for tag in (INTEGER, SEQUENCE, SEQUENCE):  # serial number, algorithm of the signature, issuer
        values.skip(tag)
    return values


def _seconds(tag: int, content: bytes) -> float:
    text = content.decode("ascii", "replace")
    if tag == UTC_TIME:
        text = ("19" if text[:2] >= TWENTIETH else "20") + text
    numbers = _TIME.fullmatch(text) if tag in (UTC_TIME, GENERALIZED_TIME) else None
    try:
        year, month, day, hour, minute, second = map(int, numbers.groups() if numbers else ())
        return datetime.datetime(year, month, day, hour, minute, second, tzinfo=datetime.UTC).timestamp()
    except ValueError as error:
        raise _unreadable() from error


def _unreadable() -> IntegrityError:
    return IntegrityError("this is not a certificate of TLS.")
