"""Read a key that a person types: from the terminal without echo, or from a file descriptor for tests and machines."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from getpass import getpass

from appliance.errors import UsageError
from appliance.escrow import paper_key
from appliance.secret import Secret

LINES_MAX = 100
LINE_BYTES_MAX = 4096

ReadLine = Callable[[str], str]


def typed_key(fd: int | None) -> Secret:
    """The typed text, not yet judged: on one line or line by line; an empty line ends a key that is too short.

    Read from the terminal, or from the file descriptor `fd`: a key file or one try after the other.
    """
    read_line = _reader(fd)
    text = ""
    for number in range(1, LINES_MAX):
        line = read_line(f"Ligne / Line {number} : ")
        text += line + "\n"
        if not line.strip() or paper_key.complete(Secret(text.encode())):
            break
    return Secret(text.encode())


def wait_for_enter(prompt: str) -> None:
    getpass(prompt, stream=sys.stderr)


def _reader(fd: int | None) -> ReadLine:
    if fd is not None:
        return lambda prompt: _line_from(fd)
    if not sys.stdin.isatty():
        raise UsageError(
            "a key must be typed on a terminal, and there is none.",
            remedy="Give a file descriptor, for example --identity-fd 3 3< FILE.",
        )
    return lambda prompt: getpass(prompt, stream=sys.stderr)


def _line_from(fd: int) -> str:
    """Byte by byte, so that nothing of the next try is taken."""
    line = b""
    try:
        while not line.endswith(b"\n") and len(line) < LINE_BYTES_MAX and (byte := os.read(fd, 1)):
            line += byte
    except (OSError, OverflowError) as error:
        raise UsageError(f"file descriptor {fd} cannot be read.", remedy="Open it, for example 3< FILE.") from error
    return line.decode("utf-8", "replace").rstrip("\r\n")
