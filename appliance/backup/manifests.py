"""The manifests of a service's archives, as its repository has them."""

from __future__ import annotations

from appliance.backup.manifest import Manifest
from appliance.borg.client import Borg


def manifests(borg: Borg, service: str) -> dict[str, Manifest | None]:
    """The manifest of each archive of `service`, oldest first; None for one that has none: no run writes one yet."""
    return {it.name: None for it in borg.archives()}
