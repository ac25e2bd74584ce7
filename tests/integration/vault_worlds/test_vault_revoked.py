"""After a revocation a vault takes nothing more of the old repository, and all of the new one as a first seeding."""

from __future__ import annotations

import os

import pytest

from appliance.errors import Postponed, Refused
from appliance.trust.revocation import Revoked
from appliance.units import GIB, MIB
from tests.worlds.vaults import VaultWorld, assert_whole

ENDED = Revoked((), {"docs-a": 2})
NEW = "cd" * 32


def test_the_old_epoch_is_ended_and_what_is_held_of_it_stays(vaults: VaultWorld) -> None:
    grant = vaults.grant()
    first, second = vaults.chain(grant, 2)
    vaults.put(first, grant)
    vaults.sign(revoked=ENDED)
    with pytest.raises(Refused, match="a node that was revoked could know its key"):
        vaults.put(second)
    assert assert_whole(vaults) == [first.name]


def test_a_new_grant_for_the_old_repository_opens_nothing(vaults: VaultWorld) -> None:
    grant = vaults.grant()
    first = vaults.seal(grant, {"config": b"c"})
    vaults.put(first, grant)
    vaults.sign(revoked=ENDED)
    again = vaults.grant(known_epoch=2)
    with pytest.raises(Refused, match="Start it over, with a new key"):
        vaults.put(vaults.seal(again, {"config": b"c"}, first), again)
    renewed = vaults.grant(known_epoch=2, repository=NEW)
    other = vaults.seal(renewed, {"config": b"new"}, first)
    vaults.put(other, renewed)
    assert assert_whole(vaults) == [first.name, other.name]


def test_the_new_repository_comes_as_a_first_seeding(vaults: VaultWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.trust.bundle.GIB", MIB)  # the floor of a day's ingest
    vaults.sign(size_bytes=6 * MIB, change_bytes=MIB // 10, quota_bytes=GIB)
    grant = vaults.grant()
    first = vaults.seal(grant, {"config": b"c"})
    vaults.put(first, grant)
    renewed = vaults.grant(known_epoch=2, repository=NEW)
    seeding = vaults.seal(renewed, {f"data/0/{n}": os.urandom(MIB) for n in range(6)}, first)
    with pytest.raises(Postponed, match=r"takes 1 MiB of this service in a day"):
        vaults.put(seeding, renewed)
    vaults.sign(revoked=ENDED)
    vaults.put(seeding, renewed)
    flood = vaults.seal(renewed, {"data/0/9": os.urandom(MIB + 1)}, seeding)
    with pytest.raises(Postponed, match=r"takes 1 MiB of this service in a day"):
        vaults.put(flood)
