"""Headers that go ahead of a push: years of hourly generations make a chain too long for one request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from appliance.backup.peers import Conversation

HEADERS_PER_REQUEST = 5000


def send_ahead(
    conversation: Conversation, verb: str, service: str, headers: Sequence[str], **details: Any
) -> Sequence[str]:
    """Send the oldest of `headers` in requests of their own; return the rest, which goes with the push itself.

    `verb` and `details` are those of the push. A vault keeps what is checked, so a cut loses nothing.
    """
    while len(headers) > HEADERS_PER_REQUEST:
        part, headers = headers[:HEADERS_PER_REQUEST], headers[HEADERS_PER_REQUEST:]
        conversation.ask(verb, service, **{**details, "headers": list(part), "list_bytes": 0})
        conversation.channel.read_frame()
    return headers
