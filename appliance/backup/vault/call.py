"""One request to a vault, and all that answers it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from appliance.backup.vault.store import Replica
from appliance.backup.vault.wire import Channel
from appliance.errors import IntegrityError
from appliance.node.handle import Node
from appliance.trust.bundle import Terms


@dataclass(frozen=True)
class Call:
    """One request of a session and all that answers it."""

    node: Node
    caller: str
    channel: Channel
    terms: Terms
    replica: Replica
    request: Mapping[str, Any]

    def texts(self, name: str) -> tuple[str, ...]:
        """The list of strings `name` of the request; raise IntegrityError for anything else."""
        value = self.request.get(name, [])
        if not is_texts(value):
            raise IntegrityError(f'the request\'s "{name}" is not a list of texts.')
        return tuple(value)


def is_texts(value: object) -> TypeGuard[list[str]]:
    """Whether `value` is a list of texts."""
    return isinstance(value, list) and all(isinstance(it, str) for it in value)
