"""A broker signs: what it decided is promised on its disk, then the signature is made, and only then may it leave.

One request at a time: two that were judged by the same promises could be promised one epoch each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.errors import Refused
from appliance.host.files import locked
from appliance.trust.keys import public_line
from appliance.trust.voted import vote
from appliance.voter.grant_rules import Declines, View, decide
from appliance.voter.promises import Promised, load_promises


@dataclass(frozen=True)
class Signer:
    """`promises` is the voter's file of them, on the machine `machine`; `key` its signing key, which the bundle has."""

    promises: Path
    machine: str
    key: Ed25519PrivateKey

    def promised(self, service: str) -> Promised:
        """Return what this broker promised of `service` so far; raise as `load_promises`."""
        return load_promises(self.promises, self.machine).of(service)

    def sign(self, service: str, look: Callable[[Promised], View]) -> bytes:
        """This voter's signature of the line that grants what `look` was asked, which is given what was promised so
        far; raise Refused when it does not sign, Busy while it answers somebody else."""
        with locked(self.promises.with_name(f"{self.promises.name}.lock"), what="the record of promises"):
            promises = load_promises(self.promises, self.machine)
            view = look(promises.of(service))
            if view.request.service != service or view.promised != promises.of(service):
                raise Refused("this broker examined another service than the requested one.")
            if view.bundle.voting.keys.get(view.voter) != public_line(self.key):
                raise Refused(f"this is not the key of the voter {view.voter} in bundle {view.bundle.serial}.")
            decision = decide(view)
            if isinstance(decision, Declines):
                raise Refused(decision.reason, remedy=decision.remedy)
            promises.keep(service, decision.promised)
            return vote(self.key, decision.line)
