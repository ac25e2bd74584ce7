"""A password in the two forms that are kept of it. The password itself is kept nowhere.

The NT hash is what SMB needs (decision record 25): whoever has it can enter the shares, as with the password. The
scrypt hash is what web pages compare with; it is slow to guess and good for nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import unicodedata

from appliance.accounts.md4 import md4
from appliance.errors import UsageError
from appliance.secret import Secret

LENGTH_MIN, LENGTH_MAX = 12, 127
NT_HASH = re.compile(r"[0-9A-F]{32}")
SLOW_HASH = re.compile(r"scrypt:15:8:3:[A-Za-z0-9+/]{22}==:[A-Za-z0-9+/]{43}=")
# 32 MiB and three rounds: a quarter of a second of a small box for each try.
_LOG_COST, _BLOCKS, _ROUNDS = 15, 8, 3
_MEMORY_MAX = 64 * 1024 * 1024


def check_password(password: Secret, name: str) -> None:
    """Raise UsageError unless `password` will do for the account `name`."""
    text = _text(password)
    if not LENGTH_MIN <= len(text) <= LENGTH_MAX:
        raise UsageError(
            f"a password has {LENGTH_MIN} to {LENGTH_MAX} characters, this one {len(text)}.",
            remedy="A sentence of some words is easy to keep.",
        )
    if not text.isprintable():
        raise UsageError("a password is one line of characters that can be typed.")
    if name in text.lower():
        raise UsageError("the name of the account is part of this password.", remedy="Choose another.")
    if len(set(text)) < LENGTH_MIN // 2:
        raise UsageError(f"this password has only {len(set(text))} different characters.", remedy="Choose another.")


def nt_hash(password: Secret) -> Secret:
    """What SMB proves knowledge of: MD4 of the password in UTF-16, as 32 capital hexadecimal digits."""
    return Secret(md4(_text(password).encode("utf-16-le")).hex().upper().encode())


def slow_hash(password: Secret, salt: bytes | None = None) -> Secret:
    """`scrypt:15:8:3:SALT:HASH` with both in base64; a new salt unless one is given."""
    salt = salt or secrets.token_bytes(16)
    derived = hashlib.scrypt(
        _text(password).encode(), salt=salt, n=1 << _LOG_COST, r=_BLOCKS, p=_ROUNDS, maxmem=_MEMORY_MAX, dklen=32
    )
    words = (f"scrypt:{_LOG_COST}:{_BLOCKS}:{_ROUNDS}".encode(), base64.b64encode(salt), base64.b64encode(derived))
    return Secret(b":".join(words))


def is_password(password: Secret, kept: Secret) -> bool:
    """Whether `kept`, by `slow_hash`, was made of `password`."""
    salt = base64.b64decode(kept.reveal().split(b":")[4])
    return hmac.compare_digest(slow_hash(password, salt).reveal(), kept.reveal())


def _text(password: Secret) -> str:
    """As Windows sends it: an accent typed in two keys is one character."""
    try:
        return unicodedata.normalize("NFC", password.reveal().decode())
    except UnicodeDecodeError as error:
        raise UsageError("this password is not UTF-8.") from error
