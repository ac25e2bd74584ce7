"""The `age` program: seal to a public key, open with a private one, which only ever goes through an inherited pipe."""

from __future__ import annotations

import re
from dataclasses import dataclass

from appliance.errors import ApplianceError, IntegrityError, Refused, UsageError
from appliance.host.command import run
from appliance.secret import Secret

TIMEOUT_SECONDS = 30
PREFIX = "AGE-SECRET-KEY-1"

# Also what keeps a recipient from ever being taken for an option of age.
_RECIPIENT = re.compile(r"age1[02-9ac-hj-np-z]{58}")
_IDENTITY = re.compile(rf"^{PREFIX}[0-9A-Z]+$", re.MULTILINE)


@dataclass(frozen=True)
class RecoveryKey:
    """An age X25519 pair: `secret` is the line AGE-SECRET-KEY-1..., `public` the recipient age1..."""

    secret: Secret
    public: str


def generate() -> RecoveryKey:
    """A new pair, through a pipe: it exists in this process's memory only."""
    output = run(("age-keygen",), timeout_seconds=TIMEOUT_SECONDS, check=True).stdout.decode("ascii")
    line = _IDENTITY.search(output)
    if line is None:
        raise ApplianceError("age-keygen printed no key.", remedy="Install age 1.2.")
    secret = Secret(line[0].encode())
    return RecoveryKey(secret, public_of(secret))


def public_of(identity: Secret) -> str:
    """The recipient of `identity`, which age-keygen reads from its standard input."""
    result = run(("age-keygen", "-y"), timeout_seconds=TIMEOUT_SECONDS, stdin=identity.reveal())
    if result.exit_code != 0:
        raise UsageError("this is not an age private key.", remedy=f"It is one line that starts with {PREFIX}.")
    return result.stdout.decode("ascii").strip()


def check_recipient(recipient: str) -> None:
    """Raise UsageError unless `recipient` looks like age1..."""
    if not _RECIPIENT.fullmatch(recipient):
        raise UsageError(f'"{recipient}" is not an age public key.', remedy="It is 62 characters that start with age1.")


def encrypt(plaintext: bytes, recipient: str) -> bytes:
    """`plaintext` sealed to `recipient`, in age's binary form: half the size of the armoured one, and never retyped."""
    check_recipient(recipient)
    result = run(("age", "-e", "-r", recipient), timeout_seconds=TIMEOUT_SECONDS, stdin=plaintext)
    if result.exit_code != 0:
        raise UsageError(f'age cannot encrypt to "{recipient}": a character of this public key is wrong.')
    return result.stdout


def decrypt(data: bytes, identity: Secret) -> Secret:
    """Return the content of `data`; raise Refused for another's, UsageError for no key, IntegrityError for damage."""
    argv = ("age", "-d", "-i", "/dev/fd/{IDENTITY}")
    result = run(argv, timeout_seconds=TIMEOUT_SECONDS, stdin=data, secret_fds={"IDENTITY": identity})
    if result.exit_code == 0:
        return Secret(result.stdout)
    if b"no identity matched" in result.stderr:
        raise Refused(
            "this key does not open this envelope.", remedy="The name of the envelope says which key opens it."
        )
    if b"/dev/fd/" in result.stderr:
        raise UsageError("this is not an age private key.", remedy=f"It is one line that starts with {PREFIX}.")
    raise IntegrityError("the envelope is damaged or cut short.", remedy="Take the same envelope from another peer.")
