"""One letter by apprise: {"url", "subject", "text"} on standard input, one outcome on standard output.

apprise is Debian's package, installed only where somebody is reached by it, and therefore imported by name. Its own
messages are read for the status of an answer and shown to nobody: they may quote the URL.
"""

from __future__ import annotations

import importlib
import json
import logging
import re
import sys
from collections.abc import Sequence
from typing import Any

TAKEN, MISSING, UNUSABLE, SILENT, FAILED = "taken", "missing", "unusable", "silent", "failed"
_STATUS = re.compile(r"error=([1-5][0-9]{2})\b")


class _Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def outcome_of(messages: Sequence[str]) -> str:
    """Why a letter was not taken, by what apprise said of it."""
    text = "\n".join(messages)
    if found := _STATUS.search(text):
        return f"answered {found[1]}"
    return SILENT if "connection error" in text.lower() else FAILED


def deliver(url: str, subject: str, text: str) -> str:
    """The outcome, in a word or two."""
    try:
        apprise: Any = importlib.import_module("apprise")
    except ImportError:
        return MISSING
    _refuse_redirects()
    logging.getLogger("apprise").addHandler(heard := _Heard())
    service = apprise.Apprise.instantiate(url, asset=apprise.AppriseAsset(app_id="appliance", async_mode=False))
    if service is None:
        return UNUSABLE
    if "overflow=" not in url:
        # A service that refuses long messages would refuse this one for ever; at the end stands what to type.
        service.overflow_mode = apprise.OverflowMode.SPLIT
    sender = apprise.Apprise()
    sender.add(service)
    taken = sender.notify(body=text, title=subject, body_format=apprise.NotifyFormat.TEXT)
    return TAKEN if taken else outcome_of(heard.messages)


def _refuse_redirects() -> None:
    """A redirect is no delivery: a client that follows one asks for a page, which says yes."""
    importlib.import_module("requests.sessions").DEFAULT_REDIRECT_LIMIT = 0  # type: ignore[attr-defined]


def main() -> None:
    asked = json.load(sys.stdin)
    # A service that prints would be taken for an outcome.
    answer, sys.stdout = sys.stdout, sys.stderr
    print(deliver(asked["url"], asked["subject"], asked["text"]), file=answer, flush=True)


if __name__ == "__main__":
    main()
