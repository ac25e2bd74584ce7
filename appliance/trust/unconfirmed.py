"""Services whose newest grant nobody showed when the voters changed, and which terms of voters may have made it.

Invariant: while such a grant may be in force, no broker signs another one, since its writer may be at work. That ends
with a bundle that confirms what those voters granted, or with a grant above all their epochs: only the territory key
makes one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from appliance.errors import IntegrityError
from appliance.territory.model import NAME
from appliance.trust.voting import TERM_MAX, Voting


def to_json(unconfirmed: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """The field of a bundle; none where all was shown."""
    said = {name: list(terms) for name, terms in sorted(unconfirmed.items())}
    return {"unconfirmed": said} if said else {}


def from_json(fields: Mapping[str, Any]) -> Mapping[str, tuple[int, ...]]:
    """The inverse of `to_json`; raise IntegrityError for anything else."""
    found = fields.get("unconfirmed", {})
    if not isinstance(found, dict) or not all(NAME.fullmatch(name) and _are_terms(it) for name, it in found.items()):
        raise IntegrityError('appliance/bundle: field "unconfirmed" is malformed.')
    return {name: tuple(terms) for name, terms in found.items()}


def _are_terms(value: object) -> bool:
    """Whether these are terms, each once and in their order."""
    if not isinstance(value, list) or not value or not all(type(it) is int for it in value):
        return False
    return value == sorted(set(value)) and value[0] >= 0 and value[-1] <= TERM_MAX


def last_epoch(terms: tuple[int, ...]) -> int:
    """The last epoch that voters of one of `terms` may have granted; 0 of none."""
    return max((Voting(term=term).last for term in terms), default=0)
