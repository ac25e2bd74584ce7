"""The voters that sign epochs beside the territory key, as the bundle declares them, and their range of epochs.

Invariant: no epoch is ever granted twice. Within one set of voters two majorities share a voter, which signs one grant
for an epoch only. Two sets need share nobody, and a box in a voter's place remembers nothing. So each set has a *term*,
and each term has epochs of its own: a grant that a former set signed, or still signs somewhere, has another number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from appliance import typed
from appliance.errors import Refused
from appliance.territory.model import Territory
from appliance.territory.quorum import VOTER, majority
from appliance.trust.signed import digest_of

TERM_EPOCHS = 512
TERM_MAX = 127
VOTERS_MIN = 3
"""With fewer, one alone could be the majority, or none could be missing."""
VOTERS_MAX = 7


@dataclass(frozen=True)
class Voting:
    """The declared voters with their signing keys, "" for one whose keys the territory does not have; it counts still.

    Only those whose role in the territory is `voter`: which nodes a plan would propose depends on the plan of before
    and on the version that computes it, and two nodes must never differ about who may grant.
    """

    keys: Mapping[str, str] = field(default_factory=dict)
    term: int = 0

    @property
    def needed(self) -> int:
        """How many of them sign a grant."""
        return majority(len(self.keys))

    @property
    def can_sign(self) -> bool:
        """Whether enough of them have keys for a majority, so that a grant of theirs may exist."""
        return VOTERS_MIN <= len(self.keys) <= VOTERS_MAX and len(set(self.keys.values()) - {""}) >= self.needed

    @property
    def digest(self) -> str:
        """The name of this set in a grant: SHA-256 of its lines "NODE KEY", by name."""
        return digest_of("".join(f"{name} {key}\n" for name, key in sorted(self.keys.items())).encode())

    @property
    def first(self) -> int:
        """The first epoch of the term that is the voters' to grant: an odd one."""
        return self.term * TERM_EPOCHS + 1

    @property
    def last(self) -> int:
        """The last epoch of the term, odd too."""
        return self.term * TERM_EPOCHS + TERM_EPOCHS - 1

    @property
    def reached(self) -> int:
        """No epoch above this one was ever granted by these voters or by former ones; 0 when none could be."""
        return self.last if self.can_sign else max(0, self.term * TERM_EPOCHS - 1)

    def epoch_above(self, known: int, service: str) -> int:
        """The next of the voters' epochs above `known`; raise Refused when the term has none left."""
        epoch = max(self.first, next_odd(known))
        if epoch > self.last:
            raise Refused(
                f"the voters have no epoch above {known} left for {service} in their term {self.term}.",
                remedy=f"Ask the holder of the territory key for a grant: `{typed.resync(service)}` at the node that "
                "is to write it; the next term starts when a voter changes.",
            )
        return epoch

    def owns(self, epoch: int) -> bool:
        return epoch % 2 == 1 and self.first <= epoch <= self.last


def next_odd(known: int) -> int:
    """The first number above `known` that is the voters' to grant; even ones are the territory key's."""
    return known + 1 + known % 2


def declared(territory: Territory, signing_keys: Mapping[str, str]) -> Mapping[str, str]:
    """The voters that `territory` declares, each with its key of `signing_keys`, "" where there is none."""
    return {name: signing_keys.get(name, "") for name, node in sorted(territory.nodes.items()) if VOTER in node.roles}


def next_term(previous: Voting | None, keys: Mapping[str, str], *, ended: bool = False) -> int:
    """The term of the voters `keys` in a bundle that follows `previous`: another one once those before could have
    signed and are not the same any more, or when epochs that they could have signed are `ended`.
    """
    if previous is None:
        return 0
    if not previous.can_sign or (previous.keys == keys and not ended):
        return previous.term
    if previous.term >= TERM_MAX:
        raise Refused(
            f"the voters have used all their {TERM_MAX + 1} terms.",
            remedy="Keep the voters as they are, or declare none: then only the territory key grants.",
        )
    return previous.term + 1


def check_term(new: Voting, present: Voting) -> None:
    """Raise Refused unless `new` may replace `present`: other voters have a later term, and no term comes back."""
    changed = present.can_sign and new.keys != present.keys
    if new.term < present.term + changed:
        raise Refused(
            f"the bundle has voters of term {new.term}, after term {present.term}: they could grant an epoch twice.",
            remedy=f"Sign it with --previous, the bundle in force: `{typed.SIGN_AGAIN}`.",
        )
