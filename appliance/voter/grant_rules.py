"""The rules by which one voter's broker signs a grant: what it must know by itself, whatever the voters' store says.
Pure.

Invariant: a broker signs only what it has proof of. The asker may hold the service and signed the request. The writer
until now gave the service up, was declared out of the way by a person, has lost its keys, or did not answer for one
lease. The broker signs no second line for an epoch. The store is no argument here at all, so a forgery in it grants
nothing. In doubt the broker declines with a sentence, and the territory key is left.

The *present* writer comes from signed grants: the newest that anybody showed this broker. An asker could hide one, so
the broker itself asks the replica nodes of the service too.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from appliance import typed
from appliance.errors import Refused
from appliance.failover.protocol import LEAP_MAX
from appliance.trust.act import Act
from appliance.trust.bundle import Bundle
from appliance.trust.grant import Grant, GrantRequest
from appliance.trust.release import Release
from appliance.trust.signed import digest_of
from appliance.trust.voted import statement
from appliance.trust.voting import TERM_EPOCHS
from appliance.voter.probe import HolderProbe
from appliance.voter.promises import Promised

CONFIRM = (
    f"For the holder of the territory key, once the nodes that may write it answer: {typed.CONFIRM}, the one of "
    "that time. "
)


def _key_holder(request: GrantRequest) -> str:
    return f"Ask the holder of the territory key for a grant: `{typed.resync(request.service)}` at {request.writer}."


def _way_out(request: GrantRequest) -> str:
    return (
        f"If it cannot be granted to any node: `{typed.resync(request.service)}` at the node that is to serve it, and "
        "what that prints."
    )


@dataclass(frozen=True)
class View:
    """All that the broker of `voter` knows of one request, `request` being signed by the asker's key in `bundle`.

    `present`: the newest grant of the service that the asker, this node or a holder showed, its signatures checked.
    `heard`: holders whose newest grant this broker has asked for itself, this node included where it holds.
    `release`, `acts`: signatures checked. `promised`: what this broker signed before. `now` is CLOCK_BOOTTIME, for
    `probe`; `time` is seconds UTC, for acts.
    """

    voter: str
    bundle: Bundle
    request: GrantRequest
    present: Grant | None
    heard: Collection[str]
    promised: Promised
    lease_seconds: float
    now: float
    time: float
    release: Release | None = None
    acts: Collection[Act] = ()
    probe: HolderProbe | None = None
    unbelieved: str = ""
    """Why the newest grant that was shown is not believed here; "" where none was refused."""


@dataclass(frozen=True)
class Proof:
    """Why the present writer is no more; `act` is the digest of the act that says so, "" without one."""

    reason: str
    act: str = ""


@dataclass(frozen=True)
class Signs:
    """Sign exactly `line`, which grants `epoch`, once `promised` is durable."""

    line: bytes
    epoch: int
    reason: str
    promised: Promised


@dataclass(frozen=True)
class Declines:
    reason: str
    remedy: str


def decide(view: View) -> Signs | Declines:
    """Return the answer of this broker; the same question later is judged again, and a line that was signed is signed
    again."""
    try:
        present = _check_present(view)
        _check_asker(view, present)
        line = statement(view.request, view.bundle.voting)
        epoch, digest = view.bundle.voting.epoch_above(view.request.known_epoch, view.request.service), digest_of(line)
        _check_promises(view, epoch, digest)
        proof = _proof(view, present, epoch)
    except Refused as error:
        return Declines(error.what, error.remedy)
    return Signs(line, epoch, proof.reason, view.promised.with_line(epoch, digest, present.epoch, proof.act))


def _check_present(view: View) -> Grant:
    """The grant to be replaced; raise Refused when this broker cannot be sure which that is."""
    present, service = view.present, view.request.service
    if view.bundle.voting.keys.get(view.voter, "") == "" or not view.bundle.voting.can_sign:
        raise Refused(
            f"{view.voter} is not a voter that can sign, by bundle {view.bundle.serial}.",
            remedy=_key_holder(view.request),
        )
    if present is None and view.unbelieved:  # no reason to decline beside one that is believed: anybody may show it
        raise Refused(f"{view.voter} accepts no grant of {service}: {view.unbelieved}", remedy=_way_out(view.request))
    if present is None or present.service != service:
        raise Refused(
            f"{service} has no grant yet: the territory key signs the first one.",
            remedy=f"Ask for it at its origin: `{typed.begin(service)}`.",
        )
    if present.epoch <= (upto := view.bundle.unconfirmed_epoch(service)):
        raise Refused(
            f"the voters changed while the newest grant of {service} was not known: one up to epoch {upto} may be in "
            f"force, and {present.epoch} is the newest known one.",
            remedy=CONFIRM + _way_out(view.request),
        )
    if present.epoch < view.promised.present:
        raise Refused(
            f"epoch {view.promised.present} of {service} was already granted, and {present.epoch} is shown.",
            remedy="Ask the replica nodes, and show the newest grant.",
        )
    others = set(view.bundle.terms(service).others(view.request.writer)) & view.bundle.members.keys()
    others.discard(present.writer)
    if others and others.isdisjoint(view.heard):
        raise Refused(
            f"no replica node of {service} has reported the newest grant: {', '.join(sorted(others))} did not call.",
            remedy="Ask again when one of them is back.",
        )
    return present


def _check_asker(view: View, present: Grant) -> None:
    request, bundle = view.request, view.bundle
    service = bundle.territory.service(request.service)
    if request.writer not in service.candidates:
        raise Refused(
            f"{request.writer} is neither the origin nor a standby of {service.name}.", remedy=_key_holder(view.request)
        )
    if request.writer not in bundle.members or bundle.member(request.writer).keys.sign != request.writer_key:
        raise Refused(f"the request is not signed by the {request.writer} of bundle {bundle.serial}.")
    if any(act.concerns("quarantine", request.writer, service.name, view.time) for act in view.acts):
        raise Refused(f"{request.writer} is in quarantine.", remedy="Ask the operator who signed the act.")
    if present.epoch <= bundle.revoked.ended_epoch(service.name) or request.repository != present.repository:
        raise Refused(
            f"{service.name} would be written to another repository than before.", remedy=_key_holder(view.request)
        )
    if request.known_epoch < present.epoch:
        raise Refused(
            f"{request.writer} knows epoch {request.known_epoch} of {service.name}, but {present.epoch} is granted.",
            remedy="Fetch the newest generation and ask again.",
        )
    if request.known_epoch > present.epoch and request.known_epoch % 2 == 0:
        raise Refused(
            f"{request.writer} knows epoch {request.known_epoch} of {service.name} but shows {present.epoch}: the "
            "territory key granted a newer one.",
            remedy="Show the newest grant.",
        )
    if request.known_epoch > max(present.epoch, view.promised.highest, bundle.voting.first) + LEAP_MAX:
        raise Refused(
            f"epochs up to {request.known_epoch} of {service.name} are not known here.",
            remedy=_key_holder(view.request),
        )


def _check_promises(view: View, epoch: int, line: str) -> None:
    """Raise Refused unless this broker may sign `line` for `epoch`, which it may have signed before."""
    promised = view.promised
    if promised.lines.get(epoch, line) != line or (epoch < promised.highest and epoch not in promised.lines):
        raise Refused(
            f"this broker has signed another grant of {view.request.service}, of epoch {promised.highest}.",
            remedy=f"Ask again for an epoch above {promised.highest}.",
        )


def _proof(view: View, present: Grant, epoch: int) -> Proof:
    """Why `present` may be replaced by `epoch`; raise Refused, with what is missing, without proof of it."""
    request, release = view.request, view.release
    member = view.bundle.members.get(present.writer)
    if request.writer_key == present.writer_key:
        _check_half(view, epoch)
        return Proof(f"{present.writer} gives up epoch {present.epoch} for the next one")
    if member is None or member.keys.sign != present.writer_key:
        return Proof(f"{present.writer} has no key any more with which it wrote")
    if release is not None and _is_of(present, release.service, release.epoch, release.holder, release.holder_key):
        return Proof(f"{present.writer} has released epoch {present.epoch}")
    act = next((act for act in view.acts if _replaces(view, act, present)), None)
    if act is not None:
        return Proof(f'{act.operator} signed "{act.act}" of {act.subject}', act.document.digest)
    return _silence(view, present)


def _check_half(view: View, epoch: int) -> None:
    """A writer needs nobody's proof for its own next epoch: it gets them from the first half of a term alone, and the
    other half is for those who take over, whatever a writer asks for."""
    voting, request = view.bundle.voting, view.request
    if epoch >= voting.first + TERM_EPOCHS // 2:
        raise Refused(
            f"{request.writer} has used all epochs of {request.service} that a writer may request for itself in term "
            f"{voting.term} of the voters; the others are reserved for takeovers.",
            remedy=_key_holder(view.request),
        )


def _is_of(present: Grant, service: str, epoch: int, holder: str, holder_key: str) -> bool:
    return (present.service, present.epoch, present.writer, present.writer_key) == (service, epoch, holder, holder_key)


def _replaces(view: View, act: Act, present: Grant) -> bool:
    """Whether `act` is one that lets the asker replace `present`. Each does so once: a writer who came back after it
    is not deposed by it again. And `lost` is true of a silent one only: a new box may have its name by now."""
    service, time = view.request.service, view.time
    says = (
        act.concerns("promote", view.request.writer, service, time)
        or act.concerns("quarantine", present.writer, service, time)
        or (act.concerns("lost", present.writer, service, time) and _is_silent(view, present))
    )
    return says and view.promised.may_use(act.document.digest, present.epoch)


def _probe(view: View, present: Grant) -> HolderProbe | None:
    probe = view.probe
    about_it = probe is not None and (probe.service, probe.statement) == (present.service, present.statement)
    return probe if about_it else None


def _lease_seconds(view: View, present: Grant) -> float:
    """For how long silence must last: a lease lasts as long as it was begun for, and the writer of `present` may have
    begun it under a bundle that made leases longer. Its own word can only lengthen that, and within bounds."""
    probe = _probe(view, present)
    return max(view.lease_seconds, probe.lease_seconds if probe and view.lease_seconds > 0 else 0)


def _is_silent(view: View, present: Grant) -> bool:
    """Whether this broker asked the writer of `present` for a whole lease without an answer."""
    probe, lease = _probe(view, present), _lease_seconds(view, present)
    return probe is not None and lease > 0 and probe.silence(view.now) >= lease


def _silence(view: View, present: Grant) -> Proof:
    """A holder that is bound to its lease has stopped when it was silent for that long; a home that may go on alone is
    not proven dead by silence."""
    service = view.bundle.territory.service(view.request.service)
    remedy = "Ask again with its release, or with an operator's act: `promote` or `quarantine`."
    if service.policy != "exclusive" and view.request.writer != service.node:
        raise Refused(f"{present.writer} did not release {service.name} and may still be writing alone.", remedy=remedy)
    lease = f"{_lease_seconds(view, present):g} s"
    if not _is_silent(view, present):
        raise Refused(
            f"{present.writer} has not been silent to this broker for a whole lease of {lease}.", remedy=remedy
        )
    return Proof(f"{present.writer} was asked for {lease} and did not say that it holds {service.name}")
