"""The replica nodes that signed for a generation written here, and the newest generation that is whole and safe."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from appliance.agent.wholeness import Older
from appliance.backup.chain.chain import Chain
from appliance.backup.peers.safety import judge
from appliance.monitor.view import Generation
from appliance.node.handle import Node
from appliance.trust.bundle import Bundle
from appliance.trust.generation import GenerationId, Header

SAFE_SEARCH_MAX = 60
"""How many generations back a safe one is looked for: two months of nights, two and a half days of hours."""


def acknowledged_by(bundle: Bundle, chain: Chain, header: Header | None) -> tuple[str, ...]:
    if header is None:
        return ()
    return tuple(receipt.holder for receipt in chain.receipts(header.id, bundle.signing_keys))


def safe_newest(
    node: Node, service: str, chain: Chain, older: Iterable[Older], still_at: Callable[[GenerationId], float]
) -> tuple[Generation | None, float]:
    """The newest whole and safe generation, and since when, as far as was looked, there are some that are not."""
    since, left = 0.0, SAFE_SEARCH_MAX
    for it in older:
        if it.whole and left:
            left -= 1
            header = chain.header(it.name)
            if judge(node.bundle, service, node.name, acknowledged_by(node.bundle, chain, header)).safe:
                return Generation(it.name, it.time, still=still_at(header.id)), since
        since = it.time
    return None, since
