"""Has most of a service gone with its newest generation? Who would continue that one is told before, not afterwards.

Whoever has a node's keys cannot remove a generation, but can add one: of an emptied repository. The rule: the newest
has less than half the bytes of another generation of the same repository that somebody still holds. A repository grows
with each run, and forgetting old archives takes little of it at a time, so it hardly ever halves without a person who
meant it. All that is held is looked at, not the one before only: more small ones can be pushed behind the first.

Signed headers give the bytes, so it costs nothing and needs no key. What was forgotten but not freed, or filled up
again, shows only to who looks into it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from appliance.backup.chain import Chain
from appliance.backup.fetch import Survey
from appliance.backup.node import Node
from appliance.clock import utc_seconds
from appliance.errors import IntegrityError
from appliance.trust.generation import TYPE, Header
from appliance.trust.signed import parse, split

TIMES = 2


@dataclass(frozen=True)
class Sized:
    """How much a generation has, by its header; `name` is its folder's, `time` what its writer's clock said, UTC."""

    name: str
    bytes: int
    files: int
    time: float


def dwindled(newest: Sized, others: Iterable[Sized]) -> Sized | None:
    """The newest of `others` beside which `newest` has lost most; None when it has not."""
    larger = {it.name: it for it in others if it.bytes > TIMES * newest.bytes}
    return larger[max(larger)] if larger else None


def size_of(header: Header) -> Sized:
    return Sized(header.id.name, header.bytes, header.files, utc_seconds(header.time))


def size_of_raw(name: str, raw: bytes) -> Sized:
    """The same of a header that was proven before; raise IntegrityError for what is none."""
    fields = parse(split(raw, TYPE)[0], TYPE)
    try:
        return Sized(name, int(fields["bytes"]), int(fields["files"]), utc_seconds(str(fields["time"])))
    except (KeyError, TypeError, ValueError) as error:
        raise IntegrityError(f"the header of {name} does not say how much it has.") from error


def held_by_anybody(node: Node, service: str, found: Survey) -> frozenset[str]:
    """The names of the generations that a peer in `found` or this node holds."""
    own = (item.name for item in node.holding(service).stored() if item.held)
    return frozenset((*own, *(name for head in found.heads for name in head.held)))


def lost_most(chain: Chain, fetched: Header, held: Collection[str]) -> Sized | None:
    """Beside which generation the one that was `fetched` has lost most: of those `held`, and what was sealed here last.

    `chain` knows the headers, as after a fetch.
    """
    last, repositories = chain.newest(), {epoch: grant.repository for epoch, grant in chain.grants().items()}
    names = {*held, *([last.header.id.name] if last else [])} & {*chain.names()}
    headers = [chain.header(name) for name in sorted(names)]
    same = repositories[fetched.epoch]
    return dwindled(size_of(fetched), (size_of(it) for it in headers if repositories[it.epoch] == same))
