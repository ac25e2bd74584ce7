"""An envelope holds one service's key for one recipient, and travels in every generation, so that every peer has it.

Its plaintext is text, for a person with `age`, `head` and `tail` only: the first line is the borg passphrase, the rest
the borg keyfile as it is. It is made once per recipient and key, then reused byte for byte: age seals to other bytes
each time, and a new blob in every generation would tell the peers nothing and cost them something.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import IntegrityError, NotFound, Refused, UsageError
from appliance.escrow import age
from appliance.host.files import make_private_folder, sha256_file, write_atomic
from appliance.secret import Secret
from appliance.trust.signed import NAME

BYTES_MAX = 64 * 1024
KEYFILE_START = b"BORG_KEY "
RECOVERY = "recovery"
"""The recipient that is the key on paper."""


@dataclass(frozen=True)
class ServiceKey:
    """The key of one borg repository: its passphrase (one line, without the newline) and its keyfile."""

    passphrase: Secret
    keyfile: Secret

    @property
    def repository(self) -> str:
        """The id of the repository this key is for, 64 hex digits: the first line of the keyfile says it."""
        return self.keyfile.reveal().split(b"\n", 1)[0].removeprefix(KEYFILE_START).decode("ascii", "replace").strip()


def seal(key: ServiceKey, recipient: str) -> bytes:
    """The envelope of `key` for `recipient` (age1...); another one at each call."""
    passphrase = key.passphrase.reveal()
    if not passphrase or b"\n" in passphrase:
        raise UsageError("a passphrase must be one line.", remedy="Make a new one without a line break.")
    if not key.keyfile.reveal().startswith(KEYFILE_START):
        raise UsageError("this is not a borg keyfile.", remedy="It starts with BORG_KEY.")
    return age.encrypt(passphrase + b"\n" + key.keyfile.reveal(), recipient)


def open_envelope(data: bytes, identity: Secret, *, repository: str = "") -> ServiceKey:
    """The key sealed in `data`, opened with the age private key `identity`.

    Raise Refused when it is sealed to somebody else or, with `repository`, is the key of another repository,
    UsageError when `identity` is no key, IntegrityError when the envelope is damaged or holds no key.
    """
    if len(data) > BYTES_MAX:
        raise IntegrityError(f"an envelope has at most {BYTES_MAX} bytes; this file has {len(data)}.")
    passphrase, newline, keyfile = age.decrypt(data, identity).reveal().partition(b"\n")
    if not passphrase or not newline or not keyfile.startswith(KEYFILE_START):
        raise IntegrityError("the envelope opens, but contains no borg key.", remedy="Take it from another peer.")
    key = ServiceKey(Secret(passphrase), Secret(keyfile))
    if repository and key.repository != repository:
        raise Refused(
            f"this envelope is for repository {key.repository[:12]}..., not {repository[:12]}...",
            remedy="Take the envelope from the generation you are restoring.",
        )
    return key


def ensure(folder: Path, name: str, recipient: str, key: ServiceKey) -> Path:
    """The envelope of `key` for `recipient` at `folder`/`name`.age; the present one, untouched, when it is that."""
    if not NAME.fullmatch(name):
        raise UsageError(f'"{name}" cannot name an envelope.', remedy="Use small letters, digits and hyphens.")
    envelope, note = folder / f"{name}.age", folder / f"{name}.note"
    if _is_made(envelope, note, recipient, key):
        return envelope
    make_private_folder(folder)
    # The note comes last: a cut between the two makes one envelope too many, and never keeps a stale one.
    write_atomic(envelope, seal(key, recipient), mode=0o600)
    write_atomic(note, json.dumps(_note(envelope, recipient, key)).encode() + b"\n", mode=0o600)
    return envelope


def unsealed(folder: Path, recipients: Mapping[str, str]) -> tuple[str, ...]:
    """The names of those of `recipients`, by name, to whose key no envelope in `folder` was sealed."""
    return tuple(name for name, key in recipients.items() if _sealed_to(folder / f"{name}.note") != key)


def _sealed_to(note: Path) -> str:
    try:
        return str(json.loads(note.read_bytes())["recipient"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _is_made(envelope: Path, note: Path, recipient: str, key: ServiceKey) -> bool:
    try:
        return bool(json.loads(note.read_bytes()) == _note(envelope, recipient, key))
    except (FileNotFoundError, ValueError):
        return False


def _note(envelope: Path, recipient: str, key: ServiceKey) -> dict[str, object]:
    """Return the note beside `envelope`; the envelope's own hash is in it, so that a corrupt one is made again."""
    return {"format": 1, "recipient": recipient, "key": _digest(key), "envelope": sha256_file(envelope)}


def _digest(key: ServiceKey) -> str:
    """Names the key without telling it: the keyfile's 256 random bits and more stand before the passphrase."""
    hasher = hashlib.sha256(b"appliance/envelope-note 1\n")
    for part in (key.keyfile.reveal(), key.passphrase.reveal()):
        hasher.update(len(part).to_bytes(8, "big") + part)
    return hasher.hexdigest()


def write_key(folder: Path, key: ServiceKey) -> None:
    """Put `keyfile` and `passphrase` in `folder`, owner only; raise Refused where others look or another key is."""
    make_private_folder(folder)
    if folder.stat().st_mode & 0o077:
        raise Refused("other accounts can read this folder.", where=str(folder), remedy="Name a new one.")
    # The keyfile comes last: where it is, the passphrase is too.
    for name, content in (("passphrase", key.passphrase), ("keyfile", key.keyfile)):
        path = folder / name
        if path.exists() and path.read_bytes() != content.reveal():
            raise Refused("this folder already contains another key.", where=str(path), remedy="Name a new folder.")
        write_atomic(path, content.reveal(), mode=0o600)


def read_key(folder: Path) -> ServiceKey:
    """The inverse of `write_key`; raise NotFound when a half is missing."""
    try:
        return ServiceKey(Secret((folder / "passphrase").read_bytes()), Secret((folder / "keyfile").read_bytes()))
    except FileNotFoundError as error:
        raise NotFound("the key is missing.", where=str(error.filename)) from error
