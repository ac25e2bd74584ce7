"""A signed document: one line of JSON that starts with its type and format, then an armoured SSHSIG over exactly that
line.

Two stock programs take it apart: `head -n 1 FILE` is what was signed, `tail -n +2 FILE` the signature, and the type is
the namespace of `ssh-keygen -Y verify`. The signature covers the bytes as stored; nothing is serialised again to be
checked.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance import strict_json
from appliance.errors import IntegrityError, Refused
from appliance.trust import sshsig

FORMAT = 1
NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Document:
    """A document whose signature was checked: its fields, the key that signed, and the bytes as stored."""

    type: str
    fields: Mapping[str, Any]
    signer: str
    raw: bytes

    @property
    def format(self) -> int:
        return int(self.fields["format"])

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the whole stored document; the name other documents call it by."""
        return digest_of(self.raw)

    @cached_property
    def line_digest(self) -> str:
        """SHA-256 of the signed line alone: the same signature can be written in many ways."""
        return digest_of(self.raw.partition(b"\n")[0] + b"\n")

    def text(self, name: str, pattern: re.Pattern[str] | None = None) -> str:
        """The string field `name`; raise IntegrityError when it is missing, empty or of another form."""
        value = self.fields.get(name)
        if not isinstance(value, str) or not value or (pattern and not pattern.fullmatch(value)):
            raise IntegrityError(f'{self.type}: field "{name}" is missing or malformed.')
        return value

    def number(self, name: str, *, least: int = 0, most: int = 2**63 - 1) -> int:
        """The integer field `name` within [least, most]; raise IntegrityError otherwise."""
        value = self.fields.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise IntegrityError(f'{self.type}: field "{name}" is missing or out of range.')
        return value


def make(type_: str, fields: Mapping[str, Any], key: Ed25519PrivateKey, format_: int = FORMAT) -> bytes:
    """The signed document of `fields` as it is stored and sent."""
    line = body(type_, fields, format_)
    return line + sshsig.sign(key, type_, line)


def body(type_: str, fields: Mapping[str, Any], format_: int = FORMAT) -> bytes:
    """The line that gets signed; for acts, which ssh-keygen signs."""
    text = json.dumps({"type": type_, "format": format_, **fields}, ensure_ascii=False, separators=(", ", ": "))
    return text.encode() + b"\n"


def read(
    raw: bytes,
    type_: str,
    signers: Collection[str],
    *,
    bytes_max: int = 16384,
    formats: Collection[int] = (FORMAT,),
) -> Document:
    """Check `raw` against its type, the `formats` that this type may have, and the keys that may sign it.

    Raise IntegrityError for what is malformed or not signed by its content, Refused for the signature of another key or
    a format that this version does not know.
    """
    line, signature = split(raw, type_, bytes_max=bytes_max)
    signer = sshsig.verify(signature, type_, line)
    if signer not in signers:
        raise Refused(f"{type_} is signed by a key that may not sign it ({fingerprint(signer)}).")
    return Document(type_, parse(line, type_, formats), signer, raw)


def split(raw: bytes, type_: str, *, bytes_max: int = 16384) -> tuple[bytes, bytes]:
    """The signed line and the armoured signature of a stored document."""
    if len(raw) > bytes_max:
        raise IntegrityError(f"{type_} has {len(raw)} bytes, more than the {bytes_max} allowed.")
    end = raw.find(b"\n") + 1
    if not end:
        raise IntegrityError(f"{type_} is cut short.")
    return raw[:end], raw[end:]


def parse(line: bytes, type_: str, formats: Collection[int] = (FORMAT,)) -> dict[str, Any]:
    """The fields of a signed line; its type and format are checked."""
    try:
        fields = strict_json.loads(line, object_pairs_hook=_no_repeats, parse_float=_no_floats)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise IntegrityError(f"{type_} is not readable JSON.") from error
    if not isinstance(fields, dict) or fields.get("type") != type_:
        raise IntegrityError(f"this is not {type_}.")
    format_ = fields.get("format")
    if not isinstance(format_, int) or isinstance(format_, bool) or format_ not in formats:
        known = " and ".join(map(str, formats))
        raise Refused(
            f"{type_} has format {format_!r}; this version reads format {known}.",
            remedy="Upgrade this node.",
        )
    return fields


def digest_of(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def fingerprint(public: str) -> str:
    """The SHA256:... fingerprint of a public key line, as ssh-keygen prints it."""
    blob = base64.b64decode(public.split()[1])
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two readers could take different ones of two equal names."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name appears twice")
    return fields


def _no_floats(text: str) -> float:
    raise ValueError(f"{text} is not a whole number")
