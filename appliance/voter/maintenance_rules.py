"""The needs of a voter from time to time: the lead where it belongs, copies of its store, room. Pure.

Nothing here decides about services. A copy is for the day on which a majority of the voters lost their disks, so each
voter makes its own, and an older one never goes before a newer one is whole.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass

from appliance.coordination.argv import QUOTA_BYTES
from appliance.units import GIB, HOUR, MIB, MINUTE

SNAPSHOT_EVERY_SECONDS = HOUR
HAND_OVER_AGAIN_SECONDS = 10.0 * MINUTE
"""Writes wait up to an election while the lead moves; one that will not have it is asked six times an hour."""
LED_SECONDS = 30.0
"""A voter that leads since a moment ago may do so because a box died, and others with it: their leases end first."""
YOUNG = 0.75
"""The part of a lease that is left while it is renewed: a node does that at each fifth of it."""
DEFRAGMENT_FROM_BYTES = 32 * MIB
DEFRAGMENT_LEADER_FROM_BYTES = QUOTA_BYTES // 2
TURN_SECONDS = 10 * MINUTE
HOURLY_KEPT, DAILY_KEPT = 24, 7
KEPT_BYTES_MAX = GIB


@dataclass(frozen=True)
class MemberStatus:
    """How a voter stands: its number, the leader's (0: it knows none), its file's bytes, and those in use in it; by
    another `term` there was an election."""

    member: int
    leader: int
    size_bytes: int
    revision: int
    used_bytes: int = 0
    term: int = 0


@dataclass(frozen=True)
class EtcdLease:
    """One on a service, in whole seconds as the store tells them: the part of a second that is left is not told."""

    left_seconds: int
    granted_seconds: int

    @property
    def is_young(self) -> bool:
        """Whether it was renewed a moment ago. The next leader lets each lease start over, also that of a node that
        died: its service would wait for so much longer."""
        return self.left_seconds + 1 >= YOUNG * self.granted_seconds


def heir(status: MemberStatus, members: Mapping[str, int], preferred: str) -> int:
    """The member that gets the lead from this voter; 0 when it does not lead or `preferred` does, or is unknown."""
    wanted = members.get(preferred, 0)
    return wanted if status.leader == status.member != wanted else 0


@dataclass(frozen=True)
class Seen:
    """One look at the voter. `members` by name; `preferred`: who should lead. `since_snapshot` and `since_hand_over` in
    seconds, None when there was none yet; `leads` for how many seconds it has been seen to lead; `wall` is UTC seconds
    and gives each voter its turn, nothing else."""

    status: MemberStatus
    members: Mapping[str, int]
    preferred: str
    wall: float
    since_snapshot: float | None = None
    since_hand_over: float | None = None
    leads: float = 0.0


@dataclass(frozen=True)
class Due:
    """`hand_over` to that member, 0 to none, as soon as every lease is young."""

    hand_over: int = 0
    snapshot: bool = False
    defragment: bool = False


def due(seen: Seen) -> Due:
    """Return what the voter needs now."""
    rested = seen.since_hand_over is None or seen.since_hand_over >= HAND_OVER_AGAIN_SECONDS
    settled = rested and seen.leads >= LED_SECONDS
    old = seen.since_snapshot is None or seen.since_snapshot >= SNAPSHOT_EVERY_SECONDS
    return Due(
        heir(seen.status, seen.members, seen.preferred) if settled else 0,
        old,
        _is_wasteful(seen.status) and _has_turn(seen),
    )


def _is_wasteful(status: MemberStatus) -> bool:
    """Half of its file is of no use; who leads goes on with that for longer, as all others wait for it."""
    leads = status.leader == status.member
    least = DEFRAGMENT_LEADER_FROM_BYTES if leads else DEFRAGMENT_FROM_BYTES
    return status.size_bytes >= least and status.used_bytes <= status.size_bytes // 2


def _has_turn(seen: Seen) -> bool:
    """Voters answer nobody meanwhile, so each has ten minutes of its own."""
    order = sorted(seen.members.values())
    turn = int(seen.wall // TURN_SECONDS) % max(1, len(order))
    return seen.status.member in order and order.index(seen.status.member) == turn


def outlived(sizes: Mapping[float, int]) -> frozenset[float]:
    """The copies that go, of those made at these times (UTC seconds) and so large: the newest 24 stay, and the newest
    of each of seven days before; of what stays, the oldest go while all together are too large. Never the newest."""
    times = sorted(sizes, reverse=True)
    kept = times[:HOURLY_KEPT]
    days = {datetime.datetime.fromtimestamp(it, datetime.UTC).date(): it for it in reversed(times[HOURLY_KEPT:])}
    kept += sorted(days.values(), reverse=True)[:DAILY_KEPT]
    while len(kept) > 1 and sum(sizes[it] for it in kept) > KEPT_BYTES_MAX:
        kept.pop()
    return frozenset(times) - frozenset(kept)
