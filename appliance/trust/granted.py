"""The epochs that a territory key has granted so far, noted beside it: no epoch is ever granted twice.

An asker may not know of an epoch that others got: a peer that does was silent. Two nodes with one epoch would own one
range of counters, and neither their peers nor borg could tell until it is too late. So the key holder's side remembers.
"""

from __future__ import annotations

import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.errors import IntegrityError
from appliance.host.files import write_atomic
from appliance.trust.generation import EPOCH_MAX
from appliance.trust.grant import Grant, GrantRequest, make_grant, read_grant
from appliance.trust.keys import public_line


class Granted:
    """The highest epoch granted of each service, in the file KEY.granted beside the private key KEY."""

    def __init__(self, key_file: Path) -> None:
        self.path = key_file.with_name(f"{key_file.name}.granted")
        self._epochs = _load(self.path)

    @property
    def known(self) -> bool:
        """Whether anything was noted."""
        return bool(self._epochs)

    def epoch(self, service: str) -> int:
        """The highest epoch granted of `service`; 0 when none is noted."""
        return self._epochs.get(service, 0)

    def grant(self, key: Ed25519PrivateKey, request: GrantRequest, *, above: int = 0) -> Grant:
        """The answer to `request`, above every epoch noted and `above`; call `save` before it leaves."""
        raw = make_grant(key, request, above=max(above, self._epochs.get(request.service, 0)))
        grant = read_grant(raw, public_line(key))
        self._epochs[grant.service] = grant.epoch
        return grant

    def save(self) -> None:
        write_atomic(self.path, json.dumps(self._epochs, indent=1).encode() + b"\n", mode=0o600)


def _load(path: Path) -> dict[str, int]:
    try:
        epochs = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError:
        epochs = None
    if not isinstance(epochs, dict) or not all(_is_epoch(value) for value in epochs.values()):
        raise IntegrityError(
            "the record of grants cannot be read.",
            where=str(path),
            remedy="Write it again as {SERVICE: highest epoch granted}; `vault show` on the peers shows what they saw.",
        )
    return epochs


def _is_epoch(value: object) -> bool:
    return isinstance(value, int) and 0 < value <= EPOCH_MAX
