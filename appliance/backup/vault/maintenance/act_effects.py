"""The effects of operators' signed acts, kept at this node, on its vault: a quarantine, a raised quota, the end of a
fork.

Each is looked for where it matters and costs nothing while no such act is kept: checking one starts ssh-keygen.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from appliance import typed
from appliance.backup.vault.header_parts import previous_by_name
from appliance.backup.vault.limits import Limits
from appliance.backup.vault.offer import Offer
from appliance.backup.vault.replicas import replica_of
from appliance.clock import utc_text
from appliance.errors import Refused
from appliance.node.acts import load_acts
from appliance.node.handle import Node
from appliance.trust.act import Act
from appliance.trust.bundle import Terms
from appliance.trust.generation import Header
from appliance.trust.in_force import in_force
from appliance.units import DAY


def check_quarantine(node: Node, caller: str, service: str) -> None:
    """Raise Refused while an act keeps `caller` out: nothing of it is taken, what is held of it stays."""
    now = node.clock.now()
    for act in in_force(_acts(node, "quarantine"), now):
        if act.concerns("quarantine", caller, service, now):
            raise Refused(
                f"{caller} is in quarantine until {utc_text(act.end)}, by {act.operator}.",
                remedy="Nothing of it is accepted until then; ask the operator who signed the act.",
            )


def quota_bytes(node: Node, terms: Terms) -> int:
    """The quota of the service here: that of the bundle, or more while an act says so of it or of this node."""
    return limits_of(node, terms, 0).quota


def limits_of(node: Node, terms: Terms, free_bytes_min: int) -> Limits:
    """The limits of the service here: those of the bundle, or more while an act says so of it or of this node."""
    return limits_by(terms, raising(_acts(node, "quota"), terms, node.name, node.clock.now()), free_bytes_min)


def limits_by(terms: Terms, acts: Collection[Act], free_bytes_min: int) -> Limits:
    """The same by the acts in force that raise some of it. Pure."""
    return Limits(
        max((terms.quota_bytes, *(act.quota_bytes for act in acts))),
        max((terms.daily_bytes, *(act.daily_bytes for act in acts))),
        terms.seed_bytes,
        free_bytes_min,
        days_max=max(1, terms.service.lock_seconds // int(DAY)),
    )


def raising(acts: Iterable[Act], terms: Terms, here: str, now: float) -> tuple[Act, ...]:
    """Those of `acts` that raise what the service may take at the node `here`. Pure."""
    subjects = (terms.name, here)
    return tuple(act for act in acts if any(act.concerns("quota", subject, terms.name, now) for subject in subjects))


def check_side(node: Node, offer: Offer) -> None:
    """Raise Refused for a generation on the side of a fork that an act passed over."""
    if not offer.listing:
        return
    service = offer.header.service
    if offer.header.id.name in passed_over(node, service, offer.headers):
        raise Refused(
            f"generation {offer.header.id} is on the other side of a fork: an operator's act names the side that "
            "continues.",
            remedy=f"Fetch the newest generation and ask for a new grant: `{typed.resync(service)}`.",
        )


def passed_over(node: Node, service: str, offered: Sequence[Header] = ()) -> frozenset[str]:
    """The names, of those known here and those offered, on the sides of forks that acts do not let continue.

    Only the newest epoch counts, since the first header of a newer one names what it continues. Such an act is obeyed
    beyond its end too: a fork that ended does not open again.
    """
    acts = [act for act in _acts(node, "continue") if act.subject == service and act.start <= node.clock.now()]
    if not acts:
        return frozenset()
    replica = replica_of(node, service)
    stored = replica.stored()
    epoch = max([item.epoch for item in stored] + [header.epoch for header in offered], default=0)
    before = {header.id.name: header.previous for header in offered if header.epoch == epoch}
    previous = previous_by_name(replica)  # by the index of old ones: their documents are years of them
    before |= {item.name: previous.get(item.name, "") for item in stored if item.epoch == epoch}
    chosen = {_number(act.generation): act.generation for act in sorted(acts, key=lambda act: act.start)}
    return losing_sides(before, chosen)


def losing_sides(before: Mapping[str, str], chosen: Mapping[str, str]) -> frozenset[str]:
    """Which of the generations in `before` (name to the digest of the header before it, of one epoch) do not continue.

    `chosen` has the name that continues, by number. One that is not known here decides nothing yet. Pure.
    """
    losing: set[str] = set()
    ends: set[str] = set()
    for name in sorted(before):
        right = chosen.get(_number(name), "")
        if (right in before and name != right) or before[name][:16] in ends:
            losing.add(name)
            ends.add(name[-16:])
    return frozenset(losing)


def _number(name: str) -> str:
    """Epoch and sequence, which the sides of a fork share."""
    return name.rpartition(".")[0]


def _acts(node: Node, kind: str) -> tuple[Act, ...]:
    return load_acts(node.layout.acts, node.bundle, kind)
