"""The next bundle before anybody signs it: what it says, and what it changes against the one in force. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from appliance.config.collected import Collected
from appliance.config.remember import Next, follow
from appliance.errors import UsageError
from appliance.territory.change import Move, changes
from appliance.territory.model import Placement, Territory
from appliance.territory.placement import place
from appliance.trust.bundle import Bundle, Member, voter_keys
from appliance.trust.former import NOBODY, Former
from appliance.trust.revocation import NOTHING, Revoked
from appliance.trust.voting import next_term


@dataclass(frozen=True)
class Draft:
    """`new`, `replaced`, `gone`: nodes by what happens to their keys; who is `without_keys` cannot take part yet."""

    serial: int
    territory: Territory
    placements: Mapping[str, Placement]
    members: Mapping[str, Member]
    recovery: str
    moves: tuple[Move, ...]
    new: tuple[str, ...]
    replaced: tuple[str, ...]
    gone: tuple[str, ...]
    without_keys: tuple[str, ...]
    revoked: Revoked = NOTHING
    ca: str = ""
    term: int = 0
    confirmed: frozenset[str] = frozenset()
    former: Former = NOBODY
    left: tuple[str, ...] = ()
    """The services that this bundle is the first one without."""
    held_back: Mapping[str, int] = field(default_factory=dict)
    """As in `Next`."""


def draft(
    territory: Territory,
    collected: Mapping[str, Collected],
    *,
    now: float,
    previous: Bundle | None = None,
    serial: int | None = None,
    recovery: str | None = None,
    ca: str = "",
    forget: Collection[str] = (),
) -> Draft:
    """The bundle of `territory` with the keys `collected`; keys that are not given again are taken over from
    `previous`. Keys that were revoked count as none.

    A service or node that leaves with it is remembered as of `now`, in seconds UTC, but for the former services to
    `forget`. Copies stay where `previous` placed them, and what it revoked stays revoked. Raise UsageError for keys of
    an unknown node and for a serial that every node would refuse, Infeasible when the copies find no place.
    """
    for node in sorted(collected.keys() - territory.nodes.keys()):
        raise UsageError(
            f'there are keys of "{node}", which is not a node of {territory.name}.',
            remedy="Check the spelling of its name. If it left, remove its file of keys.",
        )
    before = previous.serial if previous else 0
    if serial is not None and serial <= before:
        raise UsageError(f"serial {serial} does not follow {before}, the one in force.", remedy="Omit --serial.")
    old = dict(previous.members) if previous else {}
    revoked = previous.revoked if previous else NOTHING
    # The keys of a stolen box still lie among those collected, until another box has its name.
    collected = {name: it for name, it in collected.items() if not revoked.has_any(it.keys)}
    members = _members(territory, collected, old)
    number = serial or before + 1
    if previous:
        next_up = follow(previous, territory, now=now, serial=number, forget=forget)
    else:
        next_up = Next(territory, place(territory))
    territory, placements, former = next_up.territory, next_up.placements, next_up.former
    return Draft(
        serial=number,
        territory=territory,
        placements=placements,
        members=members,
        recovery=recovery if recovery is not None else previous.recovery if previous else "",
        moves=changes(territory, previous.placements if previous else {}, placements),
        new=tuple(name for name in sorted(members) if name not in old),
        replaced=tuple(name for name in sorted(members) if name in old and members[name].keys != old[name].keys),
        gone=tuple(name for name in sorted(old) if name not in members),
        without_keys=tuple(name for name in sorted(territory.nodes) if name not in members),
        revoked=revoked,
        ca=ca or (previous.ca if previous else ""),
        term=next_term(previous.voting if previous else None, voter_keys(territory, members)),
        confirmed=previous.confirmed if previous else frozenset(),
        former=former,
        held_back=next_up.held_back,
        left=tuple(name for name, it in former.services.items() if it.serial == number),
    )


def _members(territory: Territory, collected: Mapping[str, Collected], old: Mapping[str, Member]) -> dict[str, Member]:
    """Every node of the territory whose keys are known, by its present plan."""
    known = {name: Collected(member.user, member.keys) for name, member in old.items()} | dict(collected)
    return {
        name: Member(node, known[name].user, known[name].keys)
        for name, node in territory.nodes.items()
        if name in known
    }
