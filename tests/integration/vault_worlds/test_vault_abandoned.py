"""Headers whose generation never came: they count in the share, and go once their epoch has ended for a whole lock."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from appliance.backup.vault.evidence import read_evidence
from appliance.backup.vault.header_parts import lacking, previous_by_name
from appliance.backup.vault.maintenance import pruning
from appliance.backup.vault.maintenance.freeze import raise_alarm
from appliance.backup.vault.maintenance.scrub import scrub
from appliance.backup.vault.store import HEADER, Replica
from appliance.trust.grant import Grant
from appliance.units import DAY
from tests.integration.vault_worlds.history import held_here, thin_here
from tests.worlds.vaults import (
    HOLDER,
    ORIGIN,
    SERVICE,
    STANDBY,
    Generation,
    VaultWorld,
    ask,
    head,
    offer,
)

PADDING = 300
LOCK = 30 * DAY


@dataclass
class Padded:
    """A holder whose former writer, or somebody with its keys, sent PADDING headers and no file after what is held.

    `cut` is a generation of which only the header came and that a later one continues.
    """

    vaults: VaultWorld
    granted: Grant
    held: list[Generation]
    cut: Generation
    padding: list[Generation]

    @property
    def holding(self) -> Replica:
        return self.vaults.holding(HOLDER)

    def names(self) -> set[str]:
        return set(self.holding.names())

    def take_over(self, after: Generation | None = None) -> Generation:
        """The standby continues from what is held, and its first generation comes to the holder."""
        grant = self.vaults.grant(STANDBY, known_epoch=self.granted.epoch)
        made = self.vaults.seal(grant, {"config": b"next"}, after or self.held[-1])
        self.vaults.put(made, grant, caller=STANDBY)
        return made

    def send_headers(self, made: list[Generation]) -> None:
        with self.vaults.session(HOLDER, ORIGIN) as channel:
            ask(channel, "put", grants=[], headers=[it.text for it in made], list_bytes=0)
            assert channel.read_frame() == {"kept": len(made)}


@pytest.fixture
def padded(vaults: VaultWorld) -> Padded:
    grant = vaults.grant()
    first, cut, last = vaults.chain(grant, 3)
    vaults.put(first, grant)
    with vaults.session(HOLDER, ORIGIN) as channel:
        offer(channel, cut)
        assert channel.read_frame()["need"]
    vaults.put(last, before=[cut])
    made = Padded(vaults, grant, [first, last], cut, vaults.chain(grant, PADDING, last))
    made.send_headers(made.padding)
    assert made.names() == {it.name for it in (first, cut, last, *made.padding)}
    return made


def test_headers_that_nothing_came_of_go_a_lock_after_their_epoch_ended(padded: Padded) -> None:
    newest = padded.take_over()
    padded.vaults.advance(LOCK - 1)
    assert thin_here(padded.vaults).headers_removed == 0
    full = padded.holding.used()
    padded.vaults.advance(1)
    outcome = thin_here(padded.vaults)
    assert (outcome.headers_removed, outcome.skipped) == (PADDING, "")
    assert padded.names() == {it.name for it in (*padded.held, padded.cut, newest)}
    assert padded.holding.count() == 4
    assert full[0] - padded.holding.used()[0] > sum(len(it.header.document.raw) for it in padded.padding)
    assert padded.holding.epochs() == (2, 4), "grants stay for ever"
    assert thin_here(padded.vaults).headers_removed == 0


def test_what_is_left_is_whole_and_its_chain_goes_to_the_first_header(padded: Padded) -> None:
    newest = padded.take_over()
    padded.vaults.advance(LOCK)
    assert thin_here(padded.vaults).headers_removed == PADDING
    assert held_here(padded.vaults) == [it.name for it in (*padded.held, newest)]
    previous = previous_by_name(padded.holding)
    assert list(lacking(previous, (), newest.name)) == sorted(it.name for it in (*padded.held, padded.cut, newest)), (
        "a chain is fetched from its first header on"
    )
    node = padded.vaults.open(HOLDER)
    assert all(not read_evidence(node, padded.holding, name).wrong for name in previous)
    assert scrub(node, SERVICE).damage == ()


def test_headers_of_an_epoch_that_goes_on_stay_for_years(padded: Padded) -> None:
    """A writer that comes back from an older image learns from them that it was rolled back."""
    for _ in range(4):
        padded.vaults.advance(1000 * DAY)
        assert thin_here(padded.vaults).headers_removed == 0
    with padded.vaults.session(HOLDER, ORIGIN) as channel:
        tips = head(channel)["tips"]
    assert tips == [padded.padding[-1].text]


def test_an_epoch_has_not_ended_for_headers_of_a_later_one_alone(padded: Padded) -> None:
    grant = padded.vaults.grant(STANDBY, known_epoch=padded.granted.epoch)
    made = padded.vaults.seal(grant, {"config": b"next"}, padded.held[-1])
    with padded.vaults.session(HOLDER, STANDBY) as channel:
        offer(channel, made, [grant])
        assert channel.read_frame()["need"]
    padded.vaults.advance(2 * LOCK)
    assert thin_here(padded.vaults).headers_removed == 0


def test_headers_that_the_next_writer_continues_stay(padded: Padded) -> None:
    newest = padded.take_over(padded.padding[9])
    padded.vaults.advance(LOCK)
    assert thin_here(padded.vaults).headers_removed == PADDING - 10
    stays = [*padded.held, padded.cut, *padded.padding[:10], newest]
    assert padded.names() == {it.name for it in stays}


def test_nothing_is_forgotten_while_thinning_is_frozen(padded: Padded) -> None:
    padded.take_over()
    padded.vaults.advance(LOCK)
    raise_alarm(padded.vaults.open(HOLDER), SERVICE, "test.")
    assert thin_here(padded.vaults).skipped.startswith("frozen")
    assert len(padded.names()) == PADDING + 4


def test_nothing_is_forgotten_while_what_stays_has_a_gap(padded: Padded) -> None:
    padded.take_over()
    padded.vaults.advance(LOCK)
    cut = padded.holding.path(padded.cut.name, HEADER)
    raw = cut.read_bytes()
    cut.unlink()
    assert thin_here(padded.vaults).headers_removed == 0
    cut.write_bytes(raw)
    assert thin_here(padded.vaults).headers_removed == PADDING


def test_what_was_forgotten_comes_again_with_a_generation_that_continues_it(padded: Padded) -> None:
    padded.take_over()
    padded.vaults.advance(LOCK)
    thin_here(padded.vaults)
    grant = padded.vaults.grant(ORIGIN, known_epoch=4)
    made = padded.vaults.seal(grant, {"config": b"third"}, padded.padding[4])
    padded.vaults.put(made, grant, before=padded.padding[:5])
    assert made.name in held_here(padded.vaults)
    assert padded.names() >= {it.name for it in padded.padding[:5]}
    padded.vaults.advance(LOCK)
    assert thin_here(padded.vaults).headers_removed == 0


def test_a_rotten_header_that_nothing_needs_goes_and_is_no_damage_any_more(padded: Padded) -> None:
    padded.take_over()
    name = next(name for name in reversed(padded.holding.folders()) if name == padded.padding[-1].name)
    rotten = padded.holding.path(name, HEADER)
    rotten.chmod(0o600)
    rotten.write_bytes(b"rotten")
    assert [(it.kind, it.name) for it in scrub(padded.vaults.open(HOLDER), SERVICE).damage] == [(HEADER, name)]
    padded.vaults.advance(LOCK)
    assert thin_here(padded.vaults).headers_removed == PADDING
    assert scrub(padded.vaults.open(HOLDER), SERVICE).damage == ()


def test_a_folder_that_a_cut_left_empty_goes_with_its_epoch(padded: Padded) -> None:
    padded.take_over()
    empty = padded.holding.generations / f"00002.0000000900.{'ab' * 8}"
    empty.mkdir()
    padded.vaults.advance(LOCK)
    assert thin_here(padded.vaults).headers_removed == PADDING + 1
    assert not empty.exists()


def test_a_dry_run_says_how_many_headers_would_go(padded: Padded) -> None:
    padded.take_over()
    padded.vaults.advance(LOCK)
    names = pruning.would_be_forgotten(padded.vaults.open(HOLDER), SERVICE, padded.holding)
    assert set(names) == {it.name for it in padded.padding}
    assert len(padded.names()) == PADDING + 4
