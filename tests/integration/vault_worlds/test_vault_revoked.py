"""After a revocation a vault takes nothing more of the old repository, and all of the new one as a first seeding."""

from __future__ import annotations

import os

import pytest

from appliance.errors import Postponed, Refused
from appliance.trust.revocation import Revoked
from appliance.units import GIB, MIB
from tests.integration.desk.desk import Desk, assert_whole

ENDED = Revoked((), {"docs-a": 2})
NEW = "cd" * 32


def test_the_old_epoch_is_ended_and_what_is_held_of_it_stays(desk: Desk) -> None:
    grant = desk.grant()
    first, second = desk.chain(grant, 2)
    desk.put(first, grant)
    desk.sign(revoked=ENDED)
    with pytest.raises(Refused, match="a node that was revoked could know its key"):
        desk.put(second)
    assert assert_whole(desk) == [first.name]


def test_a_new_grant_for_the_old_repository_opens_nothing(desk: Desk) -> None:
    grant = desk.grant()
    first = desk.seal(grant, {"config": b"c"})
    desk.put(first, grant)
    desk.sign(revoked=ENDED)
    again = desk.grant(known_epoch=2)
    with pytest.raises(Refused, match="Start it over, with a new key"):
        desk.put(desk.seal(again, {"config": b"c"}, first), again)
    anew = desk.grant(known_epoch=2, repository=NEW)
    other = desk.seal(anew, {"config": b"new"}, first)
    desk.put(other, anew)
    assert assert_whole(desk) == [first.name, other.name]


def test_the_new_repository_comes_as_a_first_seeding(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.trust.bundle.GIB", MIB)  # the floor of a day's ingest
    desk.sign(size_bytes=6 * MIB, change_bytes=MIB // 10, quota_bytes=GIB)
    grant = desk.grant()
    first = desk.seal(grant, {"config": b"c"})
    desk.put(first, grant)
    anew = desk.grant(known_epoch=2, repository=NEW)
    seeding = desk.seal(anew, {f"data/0/{n}": os.urandom(MIB) for n in range(6)}, first)
    with pytest.raises(Postponed, match=r"takes 1 MiB of this service in a day"):
        desk.put(seeding, anew)
    desk.sign(revoked=ENDED)
    desk.put(seeding, anew)
    flood = desk.seal(anew, {"data/0/9": os.urandom(MIB + 1)}, seeding)
    with pytest.raises(Postponed, match=r"takes 1 MiB of this service in a day"):
        desk.put(flood)
