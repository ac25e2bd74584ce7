"""The voters of the term before: what they granted until the others came stays good, whichever node saw it.

The key holder's tool confirms what nodes showed when their keys were collected. A takeover after that is in no bundle,
and new voters and replica nodes would not know of it: they would grant the service to a second writer. So the bundle
names the set of voters before, and a grant of their majority in their own term is believed like any other.

Only the last set is named: a majority of the boxes of an older one may be under anybody's control, and their grants are
confirmed or unconfirmed one by one (`config/confirming.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from appliance.clock import utc_seconds
from appliance.errors import IntegrityError
from appliance.territory.model import NAME
from appliance.trust.voting import TERM_MAX, Voting


@dataclass(frozen=True)
class FormerVoters:
    """`voting`: who granted in the term before; `until`: the UTC time of the first bundle without them."""

    voting: Voting
    until: str

    @property
    def until_seconds(self) -> float:
        return utc_seconds(self.until)


def to_json(former: FormerVoters | None) -> dict[str, Any]:
    """The field of a bundle; none where the voters never changed."""
    if former is None:
        return {}
    voting = former.voting
    return {"former_voters": {"keys": dict(sorted(voting.keys.items())), "term": voting.term, "until": former.until}}


def from_json(fields: Mapping[str, Any], term: int) -> FormerVoters | None:
    """The inverse of `to_json` in a bundle of the term `term`; raise IntegrityError for anything else."""
    found = fields.get("former_voters")
    if found is None:
        return None
    try:
        keys, before, until = found["keys"], found["term"], str(found["until"])
        utc_seconds(until)
        sound = all(NAME.fullmatch(name) and isinstance(key, str) for name, key in keys.items())
    except (KeyError, TypeError, AttributeError, ValueError):
        sound = False
    if not sound or type(before) is not int or not 0 <= before < term <= TERM_MAX:
        raise IntegrityError('appliance/bundle: field "former_voters" is malformed.')
    return FormerVoters(Voting(dict(keys), before), until)
