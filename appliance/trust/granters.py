"""The signers whose grants are believed: the territory key, and a majority of the voters' brokers, each in its own
form.

The form decides which keys must have signed, before anything else is looked at: a grant of the territory key stays what
it always was, with even epochs only, and nothing that voters sign can be taken for one.

Voters come and go, while history is kept for years. So a voted grant is judged by the voters of the bundle in force
when it *arrives*, or by those of the term before; a grant kept since then stays good, as does one that the key holder
confirmed in the bundle.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from appliance.errors import Refused
from appliance.trust.grant import Grant, read_grant
from appliance.trust.signed import digest_of
from appliance.trust.voted import is_voted, read_voted
from appliance.trust.voting import Voting


@dataclass(frozen=True)
class Granters:
    """`accepted`: digests of the signed lines of voted grants that were judged before, here or by the key holder."""

    territory_key: str
    voting: Voting = field(default_factory=Voting)
    accepted: frozenset[str] = frozenset()
    former: Voting = field(default_factory=Voting)
    """The voters of the term before, whose grants stay good (`former_voters.py`)."""

    def read(self, raw: bytes) -> Grant:
        """The grant in `raw`; raise IntegrityError or Refused, with a sentence, for what none of them granted."""
        if not is_voted(raw):
            return read_grant(raw, self.territory_key)
        try:
            return read_voted(raw, self.voting, self.accepted)
        except Refused:
            if not self.former.can_sign:
                raise
            with suppress(Refused):
                return read_voted(raw, self.former)
            raise

    def read_all(self, service: str, raws: Iterable[bytes]) -> dict[int, Grant]:
        """The grants of `service` in `raws` by epoch; raise Refused for one of another service, and for two of one
        epoch. One that is shown twice is checked once.

        The first is taken where one grant comes with different voters' signatures.
        """
        grants: dict[int, Grant] = {}
        for raw in dict.fromkeys(raws):
            grant = self.read(raw)
            if grant.service != service:
                raise Refused(f"the grant is for {grant.service}, not {service}.")
            if grants.setdefault(grant.epoch, grant).statement != grant.statement:
                raise Refused(f"there is already another grant of epoch {grant.epoch}.")
        return grants

    def keeping(self, kept: Iterable[bytes]) -> Granters:
        """The same, with the voted grants in `kept` staying good: this node judged each before it kept it."""
        lines = (raw[: raw.find(b"\n") + 1] for raw in kept if is_voted(raw))
        return replace(self, accepted=self.accepted.union(digest_of(line) for line in lines))


def is_confirmed(grant: Grant, confirmed: Collection[str]) -> bool:
    """Whether `grant` needs no present voter's word: the territory key granted it, or confirmed it in a bundle."""
    return not is_voted(grant.document.raw) or grant.statement in confirmed
