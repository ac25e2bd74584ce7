"""A planned move: from which node to which, in which steps, what is lost and for how long clients wait. Pure.

Refusals come before anything is announced: a move that would begin and could not end makes clients wait for nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from appliance.coordination.port import ServiceRecord
from appliance.errors import NotFound, Refused
from appliance.failover.forms.form import HANDOVER_SECONDS
from appliance.failover.forms.known_forms import form_named
from appliance.territory.model import Service, Territory
from appliance.territory.service_forms import form_of


@dataclass(frozen=True)
class View:
    """`record` of the voters; `writer` by the newest grant, "" when none is known; `alive` nodes that report to the
    voters; `unfit`: why a candidate's copy would not do, "" for one that does. `knowing`: the voters whose brokers know
    the newest grant; `needed` of them must sign the next one, 0 where this node does not know."""

    territory: Territory
    service: Service
    record: ServiceRecord
    writer: str
    alive: Collection[str]
    unfit: Mapping[str, str] = field(default_factory=dict)
    needed: int = 0
    knowing: Collection[str] = ()

    @property
    def holder(self) -> str:
        return self.record.holder.node if self.record.holder else ""


@dataclass(frozen=True)
class Plan:
    """`rto_seconds`: for how long clients wait beside the last backup; None where nothing was measured that tells."""

    service: str
    origin: str
    to: str
    steps: tuple[str, ...]
    rpo_seconds: int
    rto_seconds: int | None


def plan_move(view: View, to: str) -> Plan:
    """How the service goes to the node `to`; raise NotFound or Refused, with what to do, when it cannot."""
    name = view.service.name
    check_candidate(view.territory, view.service, to)
    if view.holder == to:
        raise Refused(f"{to} already holds the lease of {name}.")
    if not view.holder:
        remedy = f"`appliance failover status` shows its state; `promote` gives it to {to} by a signed act."
        raise Refused(f"{name} has no lease holder now, so it cannot be handed over.", remedy=remedy)
    _check_other_intents(view)
    _check_target(view, to)
    _check_grantable(view, to)
    return Plan(name, view.holder, to, _steps(view, to), 0, _handover_seconds(view.service))


def _handover_seconds(service: Service) -> int | None:
    """As its form says. Without an address it has none, and moves in process mode alone."""
    if service.address:
        return form_named(form_of(service).name).handover_seconds
    return HANDOVER_SECONDS if service.is_merged else None


def check_settled(view: View, ready_seconds: int | None, settle_seconds: float) -> None:
    """Raise Refused while the home has not been caught up for so long; the next fault would make clients wait again."""
    name, home = view.service.name, view.service.node
    anyway = f"`appliance failover move {name} {home}` does not wait, and loses nothing."
    if ready_seconds is None:
        what = f"{home} has not reported that it has caught up with {name}."
        raise Refused(what, remedy=f"`appliance failover status` there shows its state. {anyway}")
    if ready_seconds < settle_seconds:
        what = f"{home} has been caught up with {name} for {ready_seconds} s of the required {settle_seconds:.0f} s."
        raise Refused(what, remedy=f"Try again in {settle_seconds - ready_seconds:.0f} s. {anyway}")


def check_candidate(territory: Territory, service: Service, to: str) -> None:
    """Raise NotFound or Refused where `to` could never hold `service`, whatever the voters say."""
    able = service.candidates
    territory.node(to)
    if service.policy == "mirror":
        raise Refused(f"{service.name} is a mirror: it is served everywhere and written at {service.node} only.")
    if len(able) < 2:
        remedy = "Name a standby of it in territory.yml, and sign the territory again."
        raise Refused(f"{service.name} has no candidate but {service.node}.", remedy=remedy)
    if to not in able:
        raise Refused(f"{to} is not a candidate for {service.name}.", remedy=f"Its candidates: {', '.join(able)}.")


def _check_other_intents(view: View) -> None:
    """Two people at once: the second one waits, or talks to the first."""
    intent = view.record.intent
    if intent is not None:
        remedy = "Wait until that has ended, or ask that operator."
        raise Refused(f"{intent.by} already intends to {intent.kind} {view.service.name}.", remedy=remedy)


def _check_target(view: View, to: str) -> None:
    if to not in view.alive:
        raise Refused(f"{to} does not report to the voters.", remedy="Start it, or choose another candidate.")
    if why := view.unfit.get(to, ""):
        raise Refused(f"{to} has no replica to serve: {why}", remedy="Back up first, or choose another one.")


def _check_grantable(view: View, to: str) -> None:
    """A release cannot be taken back: who cannot be granted the service then leaves it with nobody."""
    if len(view.knowing) >= view.needed:
        return
    known = ", ".join(sorted(view.knowing)) or "none"
    raise Refused(
        f"{to} could not get a grant of {view.service.name} now: {view.needed} voters must answer and know its "
        f"newest grant; known at: {known}.",
        remedy=f"`appliance failover status` shows which voters answer; {view.holder} shows each of them the grant "
        "within seconds. Then try again.",
    )


def last_holder_of(service: str, holder: str, served_at: str) -> str:
    """The last place of a service that did not arrive in time, as the voters and the node that says it serves it show
    it."""
    if served_at:
        return f"{served_at} serves it"
    if holder:
        return f"{holder} holds the lease, but no node reports that it serves it"
    return f"{service} has no lease holder now, and no node reports that it serves it"


def _steps(view: View, to: str) -> tuple[str, ...]:
    name, origin = view.service.name, view.holder
    return (
        f"{origin} holds the writes of clients, saves {name} and sends it to its peers",
        f"{origin} stops it, signs its release and returns the lease",
        f"{to} takes the lease, and the voters' brokers grant it an epoch",
        f"{to} continues the repository, installs the newest files and serves",
    )


def evacuation(territory: Territory, zone: str, views: Collection[View]) -> tuple[Plan, ...]:
    """A plan for each service that a node in `zone` holds: to its first candidate outside that can have it.

    Raise NotFound for an unknown zone, Refused for the first service that nobody outside can take.
    """
    check_zone(territory, zone)
    inside = territory.nodes_in((zone,))
    return tuple(_away(view, inside) for view in views if view.holder in inside)


def staying(territory: Territory, zone: str, views: Collection[View]) -> Mapping[str, str]:
    """The services that are written in `zone` and do not leave it, since nobody holds them: why, by name."""
    check_zone(territory, zone)
    inside = territory.nodes_in((zone,))
    left = [it for it in views if not it.holder and (it.writer or it.service.node) in inside]
    return {it.service.name: _why_it_stays(it) for it in left if it.service.policy != "mirror"}


def _why_it_stays(view: View) -> str:
    if len(view.service.candidates) < 2:
        return f"no node but {view.service.node} could take it over"
    moves = "" if view.service.address else ", on hosts once it has an `address`"
    return (
        "it has no lease holder now, so it cannot be handed over; `promote` gives it to another node by a signed "
        f"act{moves}"
    )


def check_zone(territory: Territory, zone: str) -> None:
    """Raise NotFound where `zone` is none of `territory`."""
    if zone not in territory.zones:
        raise NotFound(f'there is no zone "{zone}"; known: {", ".join(sorted(territory.zones))}.')


def _away(view: View, inside: Collection[str]) -> Plan:
    reasons = []
    for name in view.service.candidates:
        if name not in inside:
            try:
                return plan_move(view, name)
            except Refused as error:
                reasons.append(error.what)
    why = " ".join(reasons) or "all its candidates are inside too."
    raise Refused(f"{view.service.name} cannot leave {view.holder}: {why}")
