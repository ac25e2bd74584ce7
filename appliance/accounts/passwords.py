"""A password in the two forms that are kept of it. The password itself is kept nowhere.

SMB needs the NT hash (decision record 25): a person who has it can enter the shares, as with the password. Web pages
compare with the slow hash; it costs much to guess and is good for nothing else. It is argon2id; those of older stores
are scrypt and serve until their password is changed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import unicodedata

from argon2.exceptions import VerifyMismatchError  # type: ignore[import-untyped]
from argon2.low_level import Type, hash_secret, verify_secret  # type: ignore[import-untyped]

from appliance.accounts.md4 import md4
from appliance.errors import UsageError
from appliance.secret import Secret

LENGTH_MIN, LENGTH_MAX = 12, 127
NT_HASH = re.compile(r"[0-9A-F]{32}")
# 19 MiB and two rounds, the least that OWASP asks for: a small box has little memory, and hashes one at a time.
_MEMORY_KIB, _ROUNDS, _LANES = 19 * 1024, 2, 1
_ARGON2 = rf"\$argon2id\$v=19\$m={_MEMORY_KIB},t={_ROUNDS},p={_LANES}\$[A-Za-z0-9+/]{{22}}\$[A-Za-z0-9+/]{{43}}"
_SCRYPT = r"scrypt:15:8:3:[A-Za-z0-9+/]{22}==:[A-Za-z0-9+/]{43}="
SLOW_HASH = re.compile(f"{_ARGON2}|{_SCRYPT}")
_SCRYPT_MEMORY_MAX = 64 * 1024 * 1024


def check_password(password: Secret, name: str) -> None:
    """Raise UsageError unless `password` will do for the account `name`."""
    text = _text(password)
    if not LENGTH_MIN <= len(text) <= LENGTH_MAX:
        raise UsageError(
            f"a password must have {LENGTH_MIN} to {LENGTH_MAX} characters; this one has {len(text)}.",
            remedy="A sentence of some words is easy to remember.",
        )
    if not text.isprintable():
        raise UsageError("a password must be one line of printable characters.")
    if name in text.lower():
        raise UsageError("this password contains the name of the account.", remedy="Choose another.")
    if len(set(text)) < LENGTH_MIN // 2:
        raise UsageError(f"this password has only {len(set(text))} different characters.", remedy="Choose another.")


def nt_hash(password: Secret) -> Secret:
    """The secret that SMB proves knowledge of: MD4 of the password in UTF-16, as 32 capital hexadecimal digits."""
    return Secret(md4(_text(password).encode("utf-16-le")).hex().upper().encode())


def slow_hash(password: Secret) -> Secret:
    """argon2id of the password with a new salt, in the form of its reference program."""
    salt = secrets.token_bytes(16)
    return Secret(hash_secret(_text(password).encode(), salt, _ROUNDS, _MEMORY_KIB, _LANES, 32, Type.ID))


def is_password(password: Secret, kept: Secret) -> bool:
    """Whether `kept`, by `slow_hash` of this version or an older one, was made of `password`."""
    typed = _text(password).encode()
    if kept.reveal().startswith(b"scrypt:"):
        return _is_scrypt_of(typed, kept.reveal())
    try:
        return bool(verify_secret(kept.reveal(), typed, Type.ID))
    except VerifyMismatchError:
        return False


def _is_scrypt_of(typed: bytes, kept: bytes) -> bool:
    _, log_cost, blocks, rounds, salt, derived = kept.split(b":")
    again = hashlib.scrypt(
        typed,
        salt=base64.b64decode(salt),
        n=1 << int(log_cost),
        r=int(blocks),
        p=int(rounds),
        maxmem=_SCRYPT_MEMORY_MAX,
        dklen=32,
    )
    return hmac.compare_digest(again, base64.b64decode(derived))


def _text(password: Secret) -> str:
    """As Windows sends it: an accent typed in two keys is one character."""
    try:
        return unicodedata.normalize("NFC", password.reveal().decode())
    except UnicodeDecodeError as error:
        raise UsageError("this password is not UTF-8.") from error
