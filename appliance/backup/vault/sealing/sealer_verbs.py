"""The verbs of the sealing helper of a real host: each proves what came with it, then does it.

Every request proves itself: grants and headers by signatures, lists and blobs by hashes. RECEIVER_MAY only add.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from appliance.backup.vault.call import is_texts
from appliance.backup.vault.maintenance.scrub import Budget
from appliance.backup.vault.offer import check_header, check_writer, read_chain, read_offer
from appliance.backup.vault.relay import AGE_SECONDS_MAX, Relay, check_receipt
from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.sealing import custody
from appliance.backup.vault.sealing.sealer import RepairDocuments
from appliance.backup.vault.sealing.sealer_local import LocalSealer
from appliance.backup.vault.store import Replica
from appliance.backup.vault.stored_grants import granters_at
from appliance.errors import IntegrityError
from appliance.host.files import locked
from appliance.node.handle import Node
from appliance.trust.generation import Header, parse_list
from appliance.trust.grant import Grant
from appliance.trust.signed import SHA256


@dataclass(frozen=True)
class Asked:
    """One request, by the account `giver`; `raw` and `descriptors` came with it."""

    node: Node
    sealer: LocalSealer
    giver: int
    frame: Mapping[str, Any]
    raw: bytes
    descriptors: list[int]

    @property
    def service(self) -> str:
        return str(self.frame["service"])

    @property
    def replica(self) -> Replica:
        return replica_of(self.node, self.service)

    def texts(self, name: str) -> tuple[str, ...]:
        value = self.frame.get(name, [])
        if not is_texts(value):
            raise IntegrityError(f'the request\'s "{name}" is not a list of texts.')
        return tuple(value)

    def chain(self) -> tuple[Mapping[int, Grant], tuple[Header, ...]]:
        return read_chain(
            self.replica, self.node.bundle, self.service, grants=self.texts("grants"), headers=self.texts("headers")
        )


type Answer = dict[str, Any]


def _prepare(asked: Asked) -> Answer:
    custody.make_folders(asked.replica)
    return {}


def _keep(asked: Asked) -> Answer:
    grants, headers = asked.chain()
    asked.sealer.keep(asked.service, grants.values(), headers)
    return {}


def _take(asked: Asked) -> Answer:
    digest = asked.frame.get("digest")
    if not isinstance(digest, str) or not SHA256.fullmatch(digest) or len(asked.descriptors) != 1:
        raise IntegrityError("the request must have one open file and its hash.")
    with locked(asked.replica.lock, what=f"the pool of {asked.service}", wait=True):
        custody.take_over(asked.replica, str(digest), asked.descriptors[0], asked.giver)
    return {}


def _publish(asked: Asked) -> Answer:
    """Fenced here too: what the writer does not bring under the newest grant, another holder must have signed for."""
    offer = read_offer(
        asked.replica,
        asked.node.bundle,
        asked.service,
        grants=asked.texts("grants"),
        headers=asked.texts("headers"),
        listing=asked.raw,
    )
    if not offer.listing:
        raise IntegrityError("a generation needs its list to be published.")
    relay = None
    match asked.frame.get("relay"):
        case None:
            check_writer(offer, asked.node.bundle, offer.newest_grant.writer)
        case {"holder": str(holder), "receipt": str(raw), "held_seconds": int(held)} if 0 <= held <= AGE_SECONDS_MAX:
            check_receipt(asked.node, offer, holder, raw.encode())
            relay = Relay(holder, raw.encode(), held)
        case _:
            raise IntegrityError("a relayed generation needs the receipt and the age of the relaying replica node.")
    asked.sealer.keep(asked.service, offer.grants.values(), offer.headers)
    receipt = asked.sealer.publish(asked.service, offer, relay)
    return {"receipt": receipt and receipt.decode()}


def _still(asked: Asked) -> Answer:
    return {"receipt": asked.sealer.still(asked.service, str(asked.frame.get("statement", "")).encode()).decode()}


def _recheck(asked: Asked) -> Answer:
    asked.sealer.recheck(asked.service, asked.texts("digests"))
    return {}


def _repair(asked: Asked) -> Answer:
    """Headers need not link up here: they may be what is wrong. Each is proven by its grant and its own name."""
    granters = granters_at(asked.replica, asked.node.bundle)
    grants = granters.read_all(asked.service, (text.encode() for text in asked.texts("grants")))
    headers = tuple(check_header(text.encode(), grants, asked.service) for text in asked.texts("headers"))
    by_name = {header.id.name: header for header in headers}
    lists = {}
    for name, text in dict(asked.frame.get("lists") or {}).items():
        if name not in by_name or not isinstance(text, str):
            raise IntegrityError("a list needs the header that names it.")
        parse_list(text.encode(), by_name[name])
        lists[str(name)] = text.encode()
    documents = RepairDocuments(tuple(grants.values()), headers, lists, receipts=asked.frame.get("receipts") is True)
    return {"damage": [asdict(item) for item in asked.sealer.repair(asked.service, documents)]}


def _scrub(asked: Asked) -> Answer:
    bounds = {name: float(asked.frame[name]) for name in ("bytes_max", "seconds_max") if name in asked.frame}
    return {"scrubbed": asdict(asked.sealer.scrub(asked.service, Budget(**bounds)))}


def _prune(asked: Asked) -> Answer:
    return {"thinned": asdict(asked.sealer.prune(asked.service))}


def _alarm(asked: Asked) -> Answer:
    asked.sealer.alarm(asked.service, str(asked.frame.get("reason", "")))
    return {}


RECEIVER_MAY: Mapping[str, Callable[[Asked], Answer]] = {
    "prepare": _prepare,
    "keep": _keep,
    "take": _take,
    "publish": _publish,
    "still": _still,
    "doubt": _recheck,
}
NODE_MAY: Mapping[str, Callable[[Asked], Answer]] = {
    **RECEIVER_MAY,
    "mend": _repair,
    "scrub": _scrub,
    "thin": _prune,
    "alarm": _alarm,
}
