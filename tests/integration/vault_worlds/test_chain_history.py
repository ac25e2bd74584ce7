"""A writer's own chain over years: older generations go into files, and what is asked of them is answered as before."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance.backup.chain import chain as chain_module
from appliance.backup.chain.chain import Chain, chain_of
from appliance.errors import NotFound
from appliance.trust.grant import Grant
from appliance.trust.granters import Granters
from tests.worlds.vaults import HOLDER, ORIGIN, SERVICE, Generation, VaultWorld

COUNT = 30


@pytest.fixture
def grant(vaults: VaultWorld) -> Grant:
    return vaults.grant()


@pytest.fixture
def chain(vaults: VaultWorld, grant: Grant, monkeypatch: pytest.MonkeyPatch) -> Chain:
    monkeypatch.setattr(chain_module, "FOLDERS_MAX", 10)
    monkeypatch.setattr(chain_module, "FOLDERS_KEPT", 5)
    chain = chain_of(vaults.open(ORIGIN), SERVICE)
    chain.add_grant(grant)
    return chain


@pytest.fixture
def made(vaults: VaultWorld, grant: Grant, chain: Chain) -> list[Generation]:
    """COUNT generations, each sealed, with a file in the place of a receipt."""
    made = vaults.chain(grant, COUNT)
    for it in made:
        chain.add(it.header, it.listing)
        (chain.root / it.name / f"receipt-{HOLDER}").write_bytes(it.name.encode())
    return made


def folders(chain: Chain) -> list[str]:
    return sorted(name for name in os.listdir(chain.root) if name.count(".") == 2)


def test_old_generations_of_a_chain_have_no_folder_and_lose_nothing(chain: Chain, made: list[Generation]) -> None:
    assert len(folders(chain)) <= 11
    assert chain.names() == tuple(it.name for it in made)
    assert chain.recent(3) == chain.names()[-3:]
    assert [chain.raw_header(it.name) for it in made] == [it.header.document.raw for it in made]
    assert all(chain.has_receipt(it.name, HOLDER) for it in made)
    newest = chain.newest()
    assert newest
    assert newest.header == made[-1].header


def test_a_peer_that_knows_nothing_gets_the_whole_chain(chain: Chain, made: list[Generation]) -> None:
    assert chain.headers_after(()) == tuple(it.header.document.raw.decode() for it in made)
    assert chain.leads_from(made[0].header.id.digest, made[-1].header.id)
    assert not chain.leads_from("0" * 64, made[-1].header.id)


def test_a_run_reads_the_headers_that_a_peer_lacks_and_no_older_ones(
    chain: Chain, made: list[Generation], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    plain = Chain._part

    def noting(self: Chain, name: str, part: str) -> bytes | None:
        read.append(name)
        return plain(self, name, part)

    monkeypatch.setattr(Chain, "_part", noting)
    monkeypatch.setattr(Chain, "names", lambda self: pytest.fail("all names were read"))
    known = {made[-3].header.id.digest}
    assert len(chain.headers_after(known)) == 2
    assert chain.leads_from(made[-2].header.id.digest, made[-1].header.id)
    assert set(read) <= {it.name for it in made[-4:]}


def test_an_older_generation_that_is_adopted_keeps_its_list(chain: Chain, made: list[Generation]) -> None:
    old = made[2]
    chain.add(old.header, old.listing)
    newest = chain.newest()
    assert newest
    assert (newest.header, newest.listing) == (old.header, old.listing)
    assert chain.names() == tuple(it.name for it in made)
    assert chain.has_receipt(old.name, HOLDER)


def test_a_chain_of_a_former_version_goes_into_files_over_several_runs(
    vaults: VaultWorld, grant: Grant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = Chain(tmp_path / "chain", vaults.open(ORIGIN).bundle.granters, SERVICE)
    chain.add_grant(grant)
    made = vaults.chain(grant, COUNT)
    for it in made[:-3]:
        chain.add(it.header, it.listing)
    monkeypatch.setattr(chain_module, "FOLDERS_MAX", 10)
    monkeypatch.setattr(chain_module, "FOLDERS_KEPT", 5)
    monkeypatch.setattr(chain_module, "SHELVED_AT_ONCE_MAX", 12)
    counts = []
    for it in made[-3:]:
        chain.add(it.header, it.listing)
        counts.append(len(folders(chain)))
    assert counts == [16, 6, 7]
    assert chain.names() == tuple(it.name for it in made)


def test_headers_of_many_takeovers_are_proven_by_one_grant_for_each_epoch(
    vaults: VaultWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look at the newest generations proves the grant of their epoch once, and none of years of others."""
    chain = chain_of(vaults.open(ORIGIN), SERVICE)
    grant, made = vaults.grant(), list[Generation]()
    for _ in range(5):
        chain.add_grant(grant)
        made += vaults.chain(grant, 2, made[-1] if made else None)
        grant = vaults.grant(known_epoch=grant.epoch)
    for it in made:
        chain.add(it.header, it.listing)
    proven: list[bytes] = []
    plain = Granters.read

    def noting(self: Granters, raw: bytes) -> Grant:
        proven.append(raw)
        return plain(self, raw)

    monkeypatch.setattr(Granters, "read", noting)
    chain = chain_of(vaults.open(ORIGIN), SERVICE)
    assert [chain.header(it.name).id for it in made[-2:]] == [it.header.id for it in made[-2:]]
    assert chain.grant().epoch == made[-1].header.epoch
    assert len(proven) == 1
    assert len(chain.grants()) == 5
    assert len(proven) == len(set(proven)) == 5


def test_a_header_whose_grant_is_gone_is_refused_with_a_sentence(chain: Chain, made: list[Generation]) -> None:
    (chain.grants_folder / "00002").unlink()
    with pytest.raises(NotFound, match="the grant of epoch 2, which proves generation"):
        chain.header(made[-1].name)
