"""The formats of a generation's header that the replica nodes of a service read, as each showed with its last head.

    services/SERVICE/readers.json

A territory is upgraded node by node. A header of format 2 is sealed only once every node that must hold the service
showed that it reads it; a replica node that was not heard yet counts as one of a former version.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from appliance.errors import Refused
from appliance.host.files import make_private_folder, write_atomic
from appliance.host.layout import ServiceLayout
from appliance.trust.generation import fields_of


def note_readers(layout: ServiceLayout, replica_nodes: Collection[str], shown: Mapping[str, int]) -> None:
    """Remember what the heads of `shown` say; `replica_nodes` are those that must hold the service now."""
    known = {**_load(layout)[1], **shown}
    if (sorted(replica_nodes), known) != _load(layout):
        make_private_folder(layout.root)
        write_atomic(_path(layout), json.dumps({"holders": sorted(replica_nodes), "shown": known}).encode())


def replica_nodes_read(layout: ServiceLayout, format_: int) -> bool:
    """Whether every holder showed that it reads headers of `format_`."""
    replica_nodes, shown = _load(layout)
    return bool(replica_nodes) and all(shown.get(name, 1) >= format_ for name in replica_nodes)


def check_reads(peer: str, reads: int, headers: Iterable[bytes | str]) -> None:
    """Raise Refused when `headers` have a format that `peer` does not read: it would refuse them one by one."""
    newest = max((_format(raw) for raw in headers), default=1)
    if newest > reads:
        raise Refused(
            f"{peer} reads headers of generations up to format {reads}, and these have format {newest}.",
            remedy=f"Upgrade {peer}: nothing is sent to it until then.",
        )


def _format(raw: bytes | str) -> int:
    return int(fields_of(raw.encode() if isinstance(raw, str) else raw)["format"])


def _load(layout: ServiceLayout) -> tuple[list[str], dict[str, int]]:
    try:
        fields = json.loads(_path(layout).read_bytes())
        return [str(it) for it in fields["holders"]], {str(it): int(of) for it, of in fields["shown"].items()}
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return [], {}


def _path(layout: ServiceLayout) -> Path:
    return layout.root / "readers.json"
