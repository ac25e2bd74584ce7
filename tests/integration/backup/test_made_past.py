"""The fixture of years is what the product itself would have left: it reads all of it, finds it whole and goes on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from appliance.backup.chain.chain import chain_of
from appliance.backup.vault.maintenance.pruning import would_be_forgotten, would_go
from appliance.backup.vault.maintenance.scrub import scrub
from appliance.backup.vault.replicas import replica_of
from appliance.backup.writer import writer
from appliance_lab.bench.years.ground import HOLDERS, Span, Years, make_years
from appliance_lab.demo.context import BLIND, ORIGIN, SERVICE, STANDBY

SPAN = Span(generations=2000, of_others=90, takeovers=3, services=3)
IN_ALL = SPAN.generations + 1
"""The home backed up once more after its past."""


@pytest.fixture(scope="module")
def years(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Years]:
    made = make_years(tmp_path_factory.mktemp("years") / "old", SPAN)
    yield made
    made.wipe()


@pytest.mark.parametrize("holder", HOLDERS)
def test_a_scrub_of_a_replica_with_a_past_reads_every_generation_and_finds_it_whole(years: Years, holder: str) -> None:
    """Each header, its link to the one before, each receipt, each list and each file."""
    found = scrub(years.node(holder), SERVICE)
    assert found.finished
    assert found.damage == ()
    assert found.generations == IN_ALL
    assert found.blobs > 0


def test_other_services_of_a_standby_with_a_past_are_whole(years: Years) -> None:
    found = {name: scrub(years.node(STANDBY), name) for name in years.others}
    assert {(it.damage, it.generations) for it in found.values()} == {((), SPAN.of_others)}


@pytest.mark.parametrize("holder", HOLDERS)
def test_retention_has_nothing_to_let_go_of_a_past(years: Years, holder: str) -> None:
    node, replica = years.node(holder), replica_of(years.node(holder), SERVICE)
    assert would_go(node, SERVICE, replica) == ()
    assert would_be_forgotten(node, SERVICE, replica) == ()
    assert 0 < len(replica.folders()) < replica.history.count()


def test_home_and_standby_know_the_whole_chain_from_the_first_generation_on(years: Years) -> None:
    home, standby = (chain_of(years.node(name), SERVICE) for name in (ORIGIN, STANDBY))
    assert len(home.headers_after(())) == IN_ALL
    assert home.names() == standby.names()
    assert len(home.grants()) == 2 * SPAN.takeovers + 1


def test_a_generation_after_a_past_is_safe_at_both_peers(years: Years) -> None:
    """The same with the receipts of the newest but one, which the fixture signed."""
    node = years.node(ORIGIN)
    chain = chain_of(node, SERVICE)
    assert str(writer.safety_of(node, SERVICE)).startswith("safe: 2 of 2")
    keys = {name: node.bundle.member(name).keys.sign for name in HOLDERS}
    before = chain.header(chain.recent(2)[0])
    assert {it.holder for it in chain.receipts(before.id, keys)} == {STANDBY, BLIND}


def test_a_doctor_of_a_standby_with_a_past_names_no_damage(years: Years) -> None:
    """Its agent does not run, which it says; the newest generation that it shows is the one after the past."""
    shown = years.process(STANDBY).cli("status", check=False).stdout.decode()
    newest = chain_of(years.node(ORIGIN), SERVICE).newest()
    assert newest is not None
    assert f"generation {newest.header.id}" in shown
    doctor = years.process(STANDBY).cli("doctor", check=False).stdout.decode()
    assert "damage" not in doctor.lower()
    assert "fork" not in doctor.lower()
