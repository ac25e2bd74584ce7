"""Which voted grants the next bundle confirms when the voters change, and of which services they could not be learned.

A grant is judged by the voters of the bundle in force when it arrives. A voter that is replaced, and a holder that is
new, keep no former grants: they would refuse every generation and decline every request for a service that former
voters granted, and the service could be granted to nobody. So the bundle that changes the voters lists each voted grant
that the nodes showed to the key holder, verified by the voters of the bundle in force or of an earlier one. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field

from appliance.config.collected import Collected
from appliance.errors import ApplianceError
from appliance.trust.bundle import Bundle
from appliance.trust.former_voters import FormerVoters
from appliance.trust.grant import Grant
from appliance.trust.granters import Granters, is_confirmed
from appliance.trust.voted import is_voted
from appliance.units import DAY

SHOWN_SECONDS_MAX = 7 * DAY
"""An answer of a node that is older says nothing of the grants since then."""
AHEAD_SECONDS_MAX = DAY
"""A day that is to come says as little."""


@dataclass(frozen=True)
class Confirming:
    """`digests`: all that the next bundle confirms. `newest`: by service, the newest voted grant among those that it
    confirms now. `unknown`: services of which a newer voted grant may exist, with the nodes that may know it.
    `refused`: why a grant that was shown was not confirmed. `old`: nodes that showed theirs too long ago, or on no
    known day, with that moment. `settled`: services whose former grants an earlier bundle did not confirm, and that are
    known by now."""

    digests: frozenset[str]
    newest: Mapping[str, Grant]
    unknown: Mapping[str, tuple[str, ...]]
    refused: tuple[str, ...]
    old: Mapping[str, float | None] = field(default_factory=dict)
    settled: frozenset[str] = frozenset()


def confirm(
    before: Bundle,
    collected: Mapping[str, Collected],
    *,
    now: float,
    gone: Collection[str] = (),
    earlier: Sequence[Bundle] = (),
) -> Confirming:
    """Return what to confirm in a bundle that follows `before` and has other voters, or ends their term, signed at
    `now`, seconds UTC. Nobody asks the nodes `gone` any more. `earlier` are bundles of before that one, whose voters
    may have granted what nobody confirmed."""
    judges = [before.granters, *(Granters(it.territory_key, it.voting, before.confirmed) for it in earlier)]
    shown, refused = dict[str, list[Grant]](), dict[str, None]()
    for node, it in sorted(collected.items()):
        shown[node] = list(_judged(node, it.grants or (), judges, refused))
    grants = [grant for found in shown.values() for grant in found]
    voted = [grant for grant in grants if not is_confirmed(grant, before.confirmed)]
    showed = {
        node: it.brought for node, it in collected.items() if it.grants is not None and _is_same(before, node, it)
    }
    since = before.former_voters.until_seconds if before.former_voters else 0.0
    said = {node for node, brought in showed.items() if _is_fresh(brought, now, since)}
    left = {node for node, it in collected.items() if not _is_same(before, node, it)}.union(gone)
    found = {name: _missing(before, name, said, left, grants) for name in before.territory.services}
    terms = {it.term for it in (before, *earlier)}
    return Confirming(
        digests=before.confirmed.union(grant.statement for grant in voted),
        newest={grant.service: grant for grant in sorted(voted, key=lambda it: it.epoch)},
        unknown={name: missing for name, missing in found.items() if missing and before.voting.can_sign},
        refused=tuple(refused),
        old={node: brought for node, brought in showed.items() if node not in said},
        settled=frozenset(name for name in before.unconfirmed if _is_settled(before, name, found, terms, grants)),
    )


def unconfirmed_after(before: Bundle, found: Confirming, term: int) -> Mapping[str, tuple[int, ...]]:
    """Return the services, and the terms, of which the bundle of the term `term` leaves grants unknown."""
    added = found.unknown if term != before.term else {}
    left = {name: it for name, it in before.unconfirmed.items() if name not in found.settled}
    return left | {name: tuple(sorted({*left.get(name, ()), before.term})) for name in added}


def former_voters_after(before: Bundle | None, term: int, issued: str) -> FormerVoters | None:
    """The voters whose grants stay good in the bundle of the term `term` that follows `before`, signed at `issued`."""
    if before is None or term == before.term or not before.voting.can_sign:
        return before.former_voters if before else None
    return FormerVoters(before.voting, issued)


def _is_settled(
    before: Bundle, service: str, missing: Mapping[str, Collection[str]], terms: Set[int], grants: Iterable[Grant]
) -> bool:
    """Whether no node may know an unknown grant of `service`: the voters of each term in question judged what its nodes
    show, or it was granted above them since."""
    if missing.get(service, (service,)):
        return False
    newest = max((grant.epoch for grant in grants if grant.service == service), default=0)
    return newest > before.unconfirmed_epoch(service) or terms >= set(before.unconfirmed[service])


def _is_fresh(brought: float | None, now: float, since: float) -> bool:
    """An answer from before the present voters came, at `since`, says nothing of what the former ones granted last."""
    return brought is not None and since <= brought and -AHEAD_SECONDS_MAX <= now - brought <= SHOWN_SECONDS_MAX


def _judged(node: str, raws: Iterable[bytes], judges: Sequence[Granters], refused: dict[str, None]) -> Iterator[Grant]:
    """Those of `raws` that one of `judges` believes; the others, once each, go into `refused` with the reason."""
    for raw in raws:
        why = ""
        for judge in judges:
            try:
                yield judge.read(raw)
                break
            except ApplianceError as error:
                why = why or error.what
        else:
            if is_voted(raw):
                refused[f"{node} shows a grant that the voters of the bundle in force did not sign: {why}"] = None


def _is_same(before: Bundle, node: str, it: Collected) -> bool:
    """Whether it is the machine that `before` names: one in its place has seen nothing yet."""
    return node in before.members and before.members[node].keys.sign == it.keys.sign


def _missing(
    before: Bundle, service: str, said: Set[str], gone: Collection[str], grants: Iterable[Grant]
) -> tuple[str, ...]:
    """The nodes that may know a newer grant of `service` than was shown. The newest one is known to its writer, so none
    may, when the writer of the newest that was shown said so itself, or is gone."""
    terms = before.terms(service)
    knows = [it for it in dict.fromkeys((terms.origin, *terms.standbys, *terms.others(""))) if it in before.members]
    if said.isdisjoint(knows):
        return tuple(it for it in knows if it not in gone)
    newest = max((grant for grant in grants if grant.service == service), key=lambda it: it.epoch, default=None)
    writer = newest.writer if newest else terms.origin
    return () if writer in said or writer in gone or writer not in before.members else (writer,)
