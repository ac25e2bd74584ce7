"""What is good for a time only: envelopes, the certificate of a node, its security updates. Pure.

The bounds are those of the alerts: `tests/unit/monitor/test_bounds.py` compares them.
"""

from __future__ import annotations

from collections.abc import Iterator

from appliance.monitor.states import Reason, State
from appliance.monitor.view import Machine, Now, Written
from appliance.units import DAY, format_duration

PAPER = "recovery"
"""Whose envelope the key on paper opens."""
ENVELOPE_SECONDS_MAX = 400 * DAY
CERTIFICATE_SOON_SECONDS, CERTIFICATE_URGENT_SECONDS = 14 * DAY, 3 * DAY
UPDATES_SECONDS_MAX = 8 * DAY
NO_CERTIFICATE = Reason(
    "unknown", "it has no TLS certificate: nothing of it listens to others by TLS.", check="certificate"
)
NO_UPDATES = Reason("unknown", "it does not tell when its security updates were made.", check="updates")


def envelope_reasons(written: Written, now: Now) -> Iterator[Reason]:
    """Whether the paper opens it, and which envelope nobody has renewed for long. The first backup makes them."""
    if written.newest is not None and PAPER not in written.envelopes:
        remedy = "`appliance escrow export`, print it, have the territory signed; the next backup makes the envelope."
        yield Reason("warning", "the recovery key on paper does not open it.", remedy, "paper")
    for recipient, made in written.envelopes.items():
        if now.wall - made > ENVELOPE_SECONDS_MAX:
            what = f"its envelope for {recipient} is {format_duration(now.wall - made)} old."
            yield Reason("warning", what, "Try it: `appliance escrow verify`. See how keys are renewed.", "envelope")


def machine_lacks(machine: Machine) -> tuple[Reason, ...]:
    certificate = () if machine.certificate_ends is not None else (NO_CERTIFICATE,)
    return (*certificate, NO_UPDATES) if machine.updated is None else certificate


def machine_reasons(machine: Machine, now: Now) -> Iterator[Reason]:
    ends, updated = machine.certificate_ends, machine.updated
    if ends is not None and ends - now.wall < CERTIFICATE_SOON_SECONDS:
        state: State = "failed" if ends - now.wall < CERTIFICATE_URGENT_SECONDS else "warning"
        left = f"ends in {format_duration(ends - now.wall)}" if ends > now.wall else "has ended"
        remedy = "Type `ansible-playbook playbooks/site.yml` at the control machine."
        yield Reason(state, f"its TLS certificate {left}.", remedy, "certificate")
    if updated is not None and now.wall - updated > UPDATES_SECONDS_MAX:
        what = f"its security updates were not made for {format_duration(now.wall - updated)}."
        yield Reason("warning", what, "See why: `unattended-upgrade --dry-run --debug`", "updates")
