"""The newest grants that a voter's broker has judged, kept on its disk: a restart or another bundle forgets none.

A voter need not store the service that it votes about. Without these files a broker that was started after a voter was
replaced would believe no grant of the former voters, and would decline every request for such a service.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from appliance.host.files import make_private_folder, write_atomic
from appliance.trust.grant import Grant
from appliance.trust.signed import NAME


class KeptGrants:
    """A file for each service in `folder`, which was judged by the voters of the time when it came."""

    FOLDER = "grants"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        found = sorted(folder.iterdir()) if folder.exists() else []
        self._raws = {path.name: path.read_bytes() for path in found if NAME.fullmatch(path.name)}

    def of(self, service: str) -> tuple[bytes, ...]:
        """Return what is kept of `service`: nothing, or one grant."""
        raw = self._raws.get(service)
        return (raw,) if raw is not None else ()

    def every(self) -> tuple[bytes, ...]:
        return tuple(self._raws.values())

    def keep(self, grants: Mapping[str, Grant]) -> None:
        """Keep those of `grants` that are newer; on a full disk the next paper that comes tries it again."""
        for service, grant in tuple(grants.items()):
            raw = grant.document.raw
            if self._raws.get(service) != raw:
                with contextlib.suppress(OSError):
                    write_atomic(make_private_folder(self._folder) / service, raw, mode=0o600)
                    self._raws[service] = raw
