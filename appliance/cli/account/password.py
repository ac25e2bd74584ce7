"""A new password, typed twice on a terminal without echo, or one line of standard input: never argv or environment."""

from __future__ import annotations

import sys
from getpass import getpass

from appliance.errors import UsageError
from appliance.secret import Secret

BYTES_MAX = 1024


def new_password(name: str) -> Secret:
    """The password that somebody gives the account `name`, not yet judged."""
    if not sys.stdin.isatty():
        return Secret(sys.stdin.buffer.readline(BYTES_MAX).rstrip(b"\r\n"))
    first = getpass(f"Nouveau mot de passe de {name} / New password of {name}: ", stream=sys.stderr)
    if getpass("Encore une fois / Once more: ", stream=sys.stderr) != first:
        raise UsageError("the two passwords differ; nothing was changed.")
    return Secret(first.encode("utf-8", "surrogateescape"))
