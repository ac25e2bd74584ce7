"""The second factor of a person: a code of the phone, or a printed code that opens once.

Both are in the account store, so that a standby asks for the same as the node that it stands in for. The program that
asked remembers what was shown once: the store is root's, and pages only read it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterator

import pyotp

from appliance.secret import Secret

STEP_SECONDS = 30
CODES, CODE_BYTES = 8, 10
CODE = re.compile(r"[A-Z2-7]{4}(?:-[A-Z2-7]{4}){3}")
CODE_HASH = re.compile(r"[0-9a-f]{64}")
TOTP = re.compile(r"[A-Z2-7]{32}")
_TYPED_TOTP = re.compile(r"[0-9]{6}")
_STEPS_AROUND = (0, -1, 1)


def new_totp() -> Secret:
    """A secret for a phone: 160 bits in base32."""
    return Secret(base64.b32encode(secrets.token_bytes(20)))


def new_codes() -> tuple[str, ...]:
    """Codes for paper: 80 bits each, as four groups of four."""
    return tuple(_grouped(base64.b32encode(secrets.token_bytes(CODE_BYTES)).decode()) for _ in range(CODES))


def code_hash(code: str) -> str:
    """Return the hash to keep of a printed code. A fast hash will do: nobody guesses 80 bits."""
    return hashlib.sha256(_letters(code).encode()).hexdigest()


def totp_step(totp: Secret, typed: str, now: float) -> int | None:
    """The step of time whose code was `typed`, the present one or a neighbour; None for any other text.

    The caller that accepts it remembers the step and takes no code of it or an earlier one again.
    """
    digits = "".join(typed.split())
    step = int(now // STEP_SECONDS)
    codes = {step + offset: _code(totp, step + offset) for offset in _STEPS_AROUND if step + offset >= 0}
    matching = [found for found, code in codes.items() if hmac.compare_digest(code, digits.encode())]
    return max(matching, default=None) if _TYPED_TOTP.fullmatch(digits) else None


def printed_code(codes: tuple[str, ...], typed: str) -> str | None:
    """The kept hash of the printed code that was `typed`, None when it is none of `codes`."""
    wanted = code_hash(typed)
    return next((kept for kept in codes if hmac.compare_digest(kept, wanted)), None)


def provisioning(totp: Secret, name: str, node: str) -> str:
    """The address that a phone reads from a picture."""
    return pyotp.TOTP(totp.reveal().decode()).provisioning_uri(name=name, issuer_name=node)


def _code(totp: Secret, step: int) -> bytes:
    return pyotp.TOTP(totp.reveal().decode()).generate_otp(step).encode()


def _grouped(code: str) -> str:
    return "-".join(_fours(code))


def _fours(code: str) -> Iterator[str]:
    return (code[start : start + 4] for start in range(0, len(code), 4))


def _letters(code: str) -> str:
    """As printed: 0 and 1 are not in base32 and read like O and I."""
    return re.sub(r"[^A-Z2-7]", "", code.upper().replace("0", "O").replace("1", "I"))
