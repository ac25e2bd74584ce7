"""Give a letter to a service that Debian's `apprise` knows: a chat, a telephone, a gateway for SMS.

apprise runs in a process of its own (`apprise_worker.py`), so that the queue stays small, and so that the call ends in
time: the libraries of apprise allow their whole timeout for each byte. The URL holds passwords. It goes there by
standard input. No word of apprise comes back, since it may quote the URL: the answer is one of a few outcomes, and the
status of an HTTP answer.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import appliance
from appliance.errors import ApplianceError, Refused, Unreachable, UsageError
from appliance.host.command import CommandTimeout, run
from appliance.monitor.letter import Letter

SECONDS_MAX = 60.0
AT_ONCE_MAX = 2
"""Each takes some 40 MiB, which are counted with this process (`MemoryMax` of appliance-outbox.service)."""
INSTALL = "Play site.yml: it installs apprise where an addressee has an apprise URL. Or type: apt-get install apprise"
CORRECT = "Correct the apprise URL in monitoring_addressees. Its forms: apprise --details"
CALL = "Look whether its service is up, and whether this node reaches it."
_turns = threading.BoundedSemaphore(AT_ONCE_MAX)


def scheme(url: str) -> str:
    """The one part of an apprise URL that is no secret; "" where it has none."""
    return urlsplit(url).scheme if "://" in url else ""


def give(url: str, letter: Letter, *, seconds_max: float = SECONDS_MAX) -> None:
    """Raise ApplianceError unless the service behind `url` took `letter`. A third call at the same time waits."""
    asked = json.dumps({"url": url, "subject": letter.subject, "text": letter.text}).encode()
    argv = (sys.executable, "-sP", "-m", "appliance.monitor.sending.apprise_worker")
    code = {"PYTHONPATH": str(Path(appliance.__file__).parent.parent)}
    with _turns:
        try:
            result = run(argv, timeout_seconds=seconds_max, env=code, stdin=asked, cwd="/")
        except CommandTimeout as error:
            raise Unreachable(f"apprise did not end within {seconds_max:.0f} s.", remedy=CALL) from error
    if (refusal := read_outcome(result.stdout)) is not None:
        raise refusal


def read_outcome(answer: bytes) -> ApplianceError | None:
    """Return the error that the worker's `answer` means, None where the letter was taken."""
    match answer.decode(errors="replace").split():
        case ["taken"]:
            return None
        case ["missing"]:
            return UsageError("apprise is not installed on this node.", remedy=INSTALL)
        case ["unusable"]:
            return UsageError("apprise cannot use its URL.", remedy=CORRECT)
        case ["answered", status]:
            return Refused(f"apprise: its service answered {status}.")
        case ["silent"]:
            return Unreachable("apprise: its service does not answer.", remedy=CALL)
        case _:
            return Refused("apprise did not deliver it, and gives no reason that can be shown.", remedy=CORRECT)
