"""May a node leave? Only when each service that it holds for others is as safe without it. Pure.

The disks of the others say what they hold, brought here by the person who leads the departure: the node that leaves is
no replica node any more by then, so no vault would answer it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from appliance.territory.implicit import is_implicit
from appliance.trust.bundle import Bundle


@dataclass(frozen=True)
class Holds:
    """The generations of one service at one node, by their names: those it holds, and those its own rules let go."""

    held: Collection[str]
    let_go: Collection[str] = ()


@dataclass(frozen=True)
class Missing:
    """Why `service` is in the way."""

    service: str
    why: str


type Holdings = Mapping[str, Mapping[str, Holds]]
"""By node, then by service."""


def missing(bundle: Bundle, leaver: str, holdings: Holdings, writers: Mapping[str, str]) -> tuple[Missing, ...]:
    """All that is in the way of `leaver`; `writers` has who writes each service that it holds."""
    return (*_roles(bundle, leaver), *_copies(bundle, leaver, holdings, writers))


def _roles(bundle: Bundle, leaver: str) -> Iterator[Missing]:
    """Return the duties that the signed territory still gives it."""
    for name in sorted(bundle.territory.services):
        terms = bundle.terms(name)
        if terms.origin == leaver and not is_implicit(terms.service):
            yield Missing(name, f"its origin is {leaver}: give it another node in territory.yml, or remove it.")
        if leaver in terms.replica_nodes:
            yield Missing(name, f"{leaver} must hold it: set `offered: 0` for {leaver} in territory.yml.")


def _copies(bundle: Bundle, leaver: str, holdings: Holdings, writers: Mapping[str, str]) -> Iterator[Missing]:
    for name, here in sorted(holdings.get(leaver, {}).items()):
        if not here.held:
            continue
        if name not in bundle.territory.services:
            yield from _last_copy(bundle, leaver, name, holdings)
            continue
        there = {node: of[name] for node, of in holdings.items() if node != leaver and name in of}
        newest = max(generation for holds in (here, *there.values()) for generation in holds.held)
        keepers = tuple(sorted(node for node, holds in there.items() if newest in holds.held))
        copies, counted = bundle.terms(name).service.copies, bundle.counted(writers[name], keepers)
        if len(counted) < copies:
            yield Missing(name, f"its newest generation is safe at {len(counted)} of {copies} ({_names(counted)}).")
        elif scarce := _scarce(bundle, writers[name], copies, here, there):
            yield Missing(name, f"{scarce} of its generations are safe at fewer than {copies} other nodes.")


def _scarce(bundle: Bundle, writer: str, copies: int, here: Holds, there: Mapping[str, Holds]) -> int:
    """How many of the generations `here` are not at `copies` others that count, for the next loss would take them; one
    that a node let go by its rule was there for its time."""
    known = {node: frozenset((*holds.held, *holds.let_go)) for node, holds in there.items()}
    places = Counter(tuple(sorted(node for node in known if it in known[node])) for it in here.held)
    return sum(count for nodes, count in places.items() if len(bundle.counted(writer, nodes)) < copies)


def _last_copy(bundle: Bundle, leaver: str, name: str, holdings: Holdings) -> Iterator[Missing]:
    """Another node must still hold something of a service that left and is remembered: nobody takes it any more."""
    elsewhere = any(of[name].held for node, of in holdings.items() if node != leaver and name in of)
    if (left := bundle.left(name)) and not elsewhere:
        way = f"put it back into territory.yml, or sign with --forget {name} if it may be deleted"
        yield Missing(name, f"it {left.told} and no other node holds it: {way}.")


def _names(nodes: Collection[str]) -> str:
    return ", ".join(nodes) or "nobody"
