"""Headers that go ahead of a push: years of hourly generations make a chain too long for one request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from appliance.backup.peers.conversation import Conversation
from appliance.backup.vault.header_parts import PART_BYTES_MAX, cut

HEADERS_PER_REQUEST = 5000


def send_ahead(
    conversation: Conversation, verb: str, service: str, headers: Sequence[str], **details: Any
) -> Sequence[str]:
    """Send the oldest of `headers` in requests of their own; return the rest, which goes with the push itself.

    `verb` and `details` are those of the push. A vault keeps what is checked, so a cut loses nothing.
    """
    *ahead, rest = cut(headers, PART_BYTES_MAX, HEADERS_PER_REQUEST)
    for part in ahead:
        conversation.ask(verb, service, **{**details, "headers": part, "list_bytes": 0})
        conversation.channel.read_frame()
    return rest
