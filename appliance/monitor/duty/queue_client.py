"""Ask the queue of this monitoring node: what fires, what a link is about, and to take care of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from appliance import strict_json
from appliance.errors import Refused, Unreachable
from appliance.host.network import http_call

QUEUE = "http://127.0.0.1:9471"
SECONDS_MAX, BYTES_MAX = 30.0, 4 << 20
SERVER_FAILURE = 500


def ask(url: str, method: str = "GET") -> Mapping[str, Any]:
    """The answer of the queue; raise Unreachable where there is none, Refused for what it refuses."""
    try:
        with http_call.call(url, seconds_max=SECONDS_MAX, bytes_max=BYTES_MAX, method=method) as answer:
            status, content = answer.status, answer.read()
    except OSError as error:
        remedy = "Type this on a node with the role monitor, and look at: systemctl status appliance-outbox"
        raise Unreachable("the queue of alerts does not answer on this machine.", remedy=remedy) from error
    try:
        told: Mapping[str, Any] = strict_json.loads(content)
    except json.JSONDecodeError as error:
        raise Unreachable(f"what listens there is no queue of this version: it answers {status}.") from error
    if "what" in told:
        kind = Unreachable if status >= SERVER_FAILURE else Refused
        raise kind(told["what"], remedy=told["remedy"])
    return told
