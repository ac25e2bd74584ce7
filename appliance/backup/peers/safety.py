"""Is a backup safe? Judged from the receipts of those who hold it, in distinct failure domains. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from appliance.backup.peers.counted import Safety
from appliance.trust.bundle import Bundle


def judge(
    bundle: Bundle,
    service: str,
    writer: str,
    replica_nodes: Iterable[str],
    lost: Collection[str] = frozenset(),
    *,
    whole: bool = True,
) -> Safety:
    """How safe a generation is that `writer` made and that `replica_nodes` acknowledged with a receipt.

    The receipt of a node in `lost` counts for nothing any more: its copy went with it. `whole`: as its header says.
    """
    acknowledged = tuple(sorted(set(replica_nodes) - set(lost)))
    return Safety(acknowledged, bundle.counted(writer, acknowledged), bundle.terms(service).service.copies, whole)
