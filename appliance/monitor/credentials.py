"""The credentials that are good for a time only: envelopes, the certificate of a node, its security updates. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from appliance import typed
from appliance.monitor.states import Reason, State
from appliance.monitor.view import Machine, Now, Written
from appliance.units import DAY, format_duration

PAPER = "recovery"
"""The recipient of the envelope that the recovery key opens."""
ENVELOPE_SECONDS_MAX = 400 * DAY
CERTIFICATE_SOON_SECONDS, CERTIFICATE_URGENT_SECONDS = 14 * DAY, 3 * DAY
UPDATES_SECONDS_MAX = 8 * DAY
NO_CERTIFICATE = Reason(
    "unknown", "it has no TLS certificate: none of its programs listens by TLS.", check="certificate"
)
NO_TIME_SOURCE = Reason("unknown", "its time source is not known.", "See `timedatectl`.", "time-source")
UNPROVEN_TIME = Reason(
    "unknown",
    "its time servers are not authenticated: an attacker on its link can set its clock.",
    "Name servers with NTS in base_time_servers and run `ansible-playbook playbooks/site.yml`.",
    "time-source",
)
NO_UPDATES = Reason("unknown", "the date of its last security updates is not known.", check="updates")


def envelope_reasons(written: Written, now: Now) -> Iterator[Reason]:
    """Whether the paper opens it, and which envelope nobody has renewed for long. The first backup makes them."""
    if written.newest is not None and PAPER not in {*written.envelopes, *written.inherited_envelopes}:
        yield _unopened(written)
    for recipient, made in written.envelopes.items():
        if now.wall - made > ENVELOPE_SECONDS_MAX:
            what = f"its envelope for {recipient} is {format_duration(now.wall - made)} old."
            remedy = "Test it: `appliance escrow verify --envelope FILE`. See how keys are renewed."
            yield Reason("warning", what, remedy, "envelope")


def _unopened(written: Written) -> Reason:
    """A territory that has a recovery key needs no other one: the next backup makes what is missing."""
    if written.has_recovery_key:
        what = "its newest backup has no envelope for the recovery key; the next one makes it."
        return Reason("warning", what, f"Type `{typed.run(written.service)}`.", "paper")
    remedy = (
        "Run `appliance escrow create-key --territory DIR --out paper.pdf`, print the sheet, have the territory "
        "signed; the next backup makes the envelope."
    )
    return Reason("warning", "the recovery key cannot open it.", remedy, "paper")


def machine_lacks(machine: Machine) -> tuple[Reason, ...]:
    lacks = (
        (machine.certificate_ends is None, NO_CERTIFICATE),
        (machine.updated is None, NO_UPDATES),
        (machine.time_proven is None, NO_TIME_SOURCE),
        (machine.time_proven is False, UNPROVEN_TIME),
    )
    return tuple(reason for is_lacking, reason in lacks if is_lacking)


def theft_lack(node: str, kept: str) -> Reason:
    """Against which thief its disk is protected: nobody at a town hall can do more, so it never counts."""
    what = f"{kept}." if kept else "the protection of its disk is not known here."
    remedy = f"If the box is stolen, treat what it could open as read: `appliance node revoke {node} --reason WHY`."
    return Reason("unknown", what, remedy, "disk-theft")


def machine_reasons(machine: Machine, now: Now) -> Iterator[Reason]:
    ends, updated = machine.certificate_ends, machine.updated
    if ends is not None and ends - now.wall < CERTIFICATE_SOON_SECONDS:
        state: State = "failed" if ends - now.wall < CERTIFICATE_URGENT_SECONDS else "warning"
        left = f"ends in {format_duration(ends - now.wall)}" if ends > now.wall else "has ended"
        remedy = "Type `ansible-playbook playbooks/site.yml` at the control machine."
        yield Reason(state, f"its TLS certificate {left}.", remedy, "certificate")
    if updated is not None and now.wall - updated > UPDATES_SECONDS_MAX:
        what = f"its security updates were not installed for {format_duration(now.wall - updated)}."
        yield Reason("warning", what, "See why: `unattended-upgrade --dry-run --debug`", "updates")
