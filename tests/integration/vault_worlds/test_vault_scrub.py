"""The scrub finds damage, however small its budget, and nothing is claimed while it is not whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from appliance.backup.vault.evidence import LINK
from appliance.backup.vault.maintenance import damage
from appliance.backup.vault.maintenance.damage import CORRUPT, MISSING, Damage
from appliance.backup.vault.maintenance.scrub import Budget, Scrubbed, scrub
from appliance.backup.vault.store import DAMAGED, HEADER, LIST, RECEIPT, Replica
from tests.integration.vault_worlds.unreadable import refuse_to_read
from tests.worlds.vaults import HOLDER, SERVICE, STANDBY, Generation, VaultWorld, assert_whole, head


@dataclass
class Held:
    """Four generations at commune-b, and what the tests look at."""

    vaults: VaultWorld
    chain: list[Generation]

    @property
    def holding(self) -> Replica:
        return self.vaults.holding(HOLDER)

    def scrub(self, budget: Budget | None = None) -> Scrubbed:
        return scrub(self.vaults.open(HOLDER), SERVICE, budget)

    def digest(self, number: int, path: str) -> str:
        return next(entry.sha256 for entry in self.chain[number].entries if entry.path == path)

    def head(self) -> dict[str, Any]:
        with self.vaults.session(HOLDER, STANDBY) as channel:
            return head(channel)


@pytest.fixture
def held(vaults: VaultWorld) -> Held:
    grant = vaults.grant()
    chain = vaults.chain(grant, 4)
    for made in chain:
        vaults.put(made, grant)
    return Held(vaults, chain)


def _flip(path: Path) -> None:
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_whole_holding_is_found_whole(held: Held) -> None:
    outcome = held.scrub()
    assert (outcome.generations, outcome.blobs, outcome.damage, outcome.finished) == (4, 6, (), True)
    assert outcome.bytes > 0
    assert held.head()["held"] == [made.name for made in held.chain]


def test_a_rotten_blob_is_set_aside_and_its_generations_are_not_claimed(held: Held) -> None:
    digest = held.digest(1, "data/0/2")
    _flip(held.holding.blob(digest))
    outcome = held.scrub()
    assert outcome.damage == (Damage(CORRUPT, digest),)
    assert not held.holding.blob(digest).exists()
    assert (held.holding.corrupt / digest).exists(), "kept, to be looked at"
    answer = held.head()
    assert answer["damaged"] == [held.chain[1].name]
    assert (
        answer["held"] == [made.name for made in held.chain if made is not held.chain[1]] == assert_whole(held.vaults)
    )
    (line,) = held.vaults.open(HOLDER).journal.events("vault-damage")
    assert (line["kind"], line["name"]) == (CORRUPT, digest)


def test_a_blob_that_the_disk_cannot_read_any_more_is_rotten_and_ends_no_scrub(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = held.digest(1, "data/0/2")
    refuse_to_read(monkeypatch, held.holding.blob(digest))
    outcome = held.scrub()
    assert (outcome.damage, outcome.finished) == ((Damage(CORRUPT, digest),), True)
    assert (held.holding.corrupt / digest).exists(), "kept, to be looked at"
    assert held.head()["damaged"] == [held.chain[1].name]


def test_a_blob_that_all_share_leaves_nothing_to_claim(held: Held) -> None:
    _flip(held.holding.blob(held.digest(0, "data/0/0")))
    held.scrub()
    answer = held.head()
    assert (answer["held"], answer["newest"], answer["receipt"]) == ([], None, None)
    assert answer["damaged"] == [made.name for made in held.chain]


def _lose(path: Path) -> None:
    path.unlink()


def _shorten(path: Path) -> None:
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1])


def _lengthen(path: Path) -> None:
    path.chmod(0o600)
    path.write_bytes(path.read_bytes() + b"x")


def _link(path: Path) -> None:
    other = path.with_name("other")
    path.rename(other)
    path.symlink_to(other)


@pytest.mark.parametrize("harm", [_lose, _shorten, _lengthen, _link])
def test_a_blob_that_is_gone_or_of_another_size_is_missing(held: Held, harm: Callable[[Path], None]) -> None:
    digest = held.digest(2, "data/0/3")
    harm(held.holding.blob(digest))
    assert Damage(MISSING, digest) in held.scrub().damage
    assert held.head()["damaged"] == [held.chain[2].name]


@pytest.mark.parametrize(
    ("part", "harm", "kind", "claimed"),
    [
        (HEADER, _flip, HEADER, False),
        (HEADER, _lose, HEADER, False),
        (LIST, _flip, LIST, False),
        (LIST, _shorten, LIST, False),
        (RECEIPT, _flip, RECEIPT, True),
    ],
)
def test_a_paper_that_does_not_hold_is_found(
    held: Held, part: str, harm: Callable[[Path], None], kind: str, claimed: bool
) -> None:
    """Without our receipt a generation is still whole; only its age is unknown, so it counts as young."""
    name = held.chain[3].name
    harm(held.holding.path(name, part))
    assert Damage(kind, name) in held.scrub().damage
    assert (name in held.head()["held"]) is claimed


def test_a_lost_grant_makes_its_epoch_unproven(held: Held) -> None:
    (held.holding.grants / "00002").unlink()
    assert {item.kind for item in held.scrub().damage} == {HEADER}
    assert not any(item.held for item in held.holding.stored())


def test_a_lost_link_of_the_chain_is_told_and_what_is_whole_stays_claimed(held: Held) -> None:
    first = held.holding.generations / held.chain[0].name
    for path in first.iterdir():
        path.unlink()
    first.rmdir()
    assert held.scrub().damage == (Damage(LINK, held.chain[1].name),)
    assert held.head()["held"] == [made.name for made in held.chain[1:]]


@pytest.mark.parametrize("budget", [Budget(bytes_max=1), Budget(seconds_max=0), Budget(bytes_max=500)])
def test_however_small_the_budget_all_is_read_in_turn(held: Held, budget: Budget) -> None:
    digests = [held.digest(number, f"data/0/{number + 1}") for number in range(4)]
    for digest in digests:
        _flip(held.holding.blob(digest))
    seen = [held.scrub(budget)]
    while not seen[-1].finished:
        seen.append(held.scrub(budget))
    assert set(seen[-1].damage) == {Damage(CORRUPT, digest) for digest in digests}
    assert sum(outcome.blobs for outcome in seen) == 6
    assert sum(outcome.generations for outcome in seen) == 4
    assert len(seen) > 1
    assert held.scrub().finished, "and then it begins again"


def test_a_scrub_that_was_cut_goes_on_where_it_was(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    class Cut(BaseException):
        pass

    def cut(*_: object) -> None:
        raise Cut

    with monkeypatch.context() as patch:
        patch.setattr("appliance.backup.vault.maintenance.scrub._check_blob", cut)
        with pytest.raises(Cut):
            held.scrub()
    outcome = held.scrub()
    assert (outcome.generations, outcome.blobs) == (0, 6)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"before": 1}', b"\xff"])
def test_a_cursor_that_cannot_be_read_begins_anew(held: Held, content: bytes) -> None:
    (held.holding.root / "scrubbed").write_bytes(content)
    assert held.scrub().generations == 4


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": 1}', b'[{"kind": "x"}]', b"[5]", b"\xff"])
def test_a_memory_of_damage_that_cannot_be_read_is_found_again(held: Held, content: bytes) -> None:
    digest = held.digest(1, "data/0/2")
    _flip(held.holding.blob(digest))
    held.scrub()
    (held.holding.root / "damage").write_bytes(content)
    assert Damage(MISSING, digest) in held.scrub().damage
    assert held.head()["damaged"] == [held.chain[1].name]


def test_a_cut_between_the_memory_and_the_marks_is_mended_by_the_next_scrub(held: Held) -> None:
    digest = held.digest(1, "data/0/2")
    held.holding.blob(digest).unlink()
    (held.holding.root / "damage").write_text(json.dumps([{"kind": MISSING, "name": digest}]))
    assert held.chain[1].name in held.head()["held"], "not marked yet"
    held.scrub(Budget(bytes_max=1))
    assert held.head()["damaged"] == [held.chain[1].name]


def test_what_came_back_is_claimed_again(held: Held) -> None:
    digest = held.digest(1, "data/0/2")
    blob = held.holding.blob(digest)
    content = blob.read_bytes()
    blob.unlink()
    assert held.scrub().damage
    blob.write_bytes(content)
    assert held.scrub().damage == ()
    assert not (held.holding.root / "damage").exists()
    assert not any((folder / DAMAGED).exists() for folder in held.holding.generations.iterdir())
    assert len(assert_whole(held.vaults)) == 4


def test_a_rotten_blob_is_not_believed_because_its_size_is_right(held: Held) -> None:
    """A cut right after the memory was written: the blob is still in the pool, and still rotten."""
    digest = held.digest(1, "data/0/2")
    _flip(held.holding.blob(digest))
    node = held.vaults.open(HOLDER)
    damage.record(node, held.holding, [Damage(CORRUPT, digest)])
    assert damage.settle(node, held.holding) == (Damage(CORRUPT, digest),)
    assert held.head()["damaged"] == [held.chain[1].name]


def test_damage_of_what_was_thinned_is_forgotten(held: Held) -> None:
    digest = held.digest(1, "data/0/2")
    held.holding.blob(digest).unlink()
    held.scrub()
    held.holding.path(held.chain[1].name, LIST).unlink()
    assert held.scrub().damage == ()


def test_the_next_push_of_the_same_file_heals(held: Held) -> None:
    """A file that the origin still has in its newest generation comes back by itself."""
    shared = held.digest(0, "data/0/0")
    _flip(held.holding.blob(shared))
    held.scrub()
    assert held.head()["held"] == []
    grant = held.vaults.grant()
    after = held.vaults.chain(grant, 1, held.chain[-1])[0]
    held.vaults.put(after)
    assert held.head()["held"] == [made.name for made in (*held.chain, after)] == assert_whole(held.vaults)
    assert damage.known(held.holding) == ()


def test_a_list_that_rotted_is_brought_by_the_same_push_again(held: Held) -> None:
    name = held.chain[3].name
    _flip(held.holding.path(name, LIST))
    held.scrub()
    held.vaults.put(held.chain[3])
    assert name in assert_whole(held.vaults)
    assert damage.known(held.holding) == ()
