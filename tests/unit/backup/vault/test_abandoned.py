"""Which headers are forgotten whose generation never came: none that anything which stays leads back to."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.backup.vault.header_parts import lacking
from appliance.backup.vault.maintenance.abandoned import abandoned, epoch_of
from tests.unit.backup.vault.names import ROOT, after, name

OLD = [name(2, number) for number in range(1, 6)]
NEW = [name(3, number) for number in range(1, 3)]
SIDE = name(2, 4, "b")
TREE = after(*OLD) | {SIDE: OLD[2][-16:], NEW[0]: OLD[2][-16:], NEW[1]: NEW[0][-16:]}
ENDS = [OLD[4], SIDE, OLD[3]]


@pytest.mark.parametrize(
    ("previous", "came", "epoch", "goes"),
    [
        (TREE, [OLD[0], NEW[0], NEW[1]], 3, ENDS),
        (TREE, [OLD[0], NEW[0], NEW[1]], 2, []),
        (TREE, [OLD[4], NEW[0]], 3, [SIDE]),
        (TREE, [SIDE, NEW[0]], 3, ENDS[:1] + ENDS[2:]),
        (TREE, [OLD[0]], 3, ENDS),
        (TREE, list(TREE), 9, []),
        (TREE, [NEW[0]], 9, [NEW[1], *ENDS]),
        ({it: before for it, before in TREE.items() if it != OLD[1]}, [OLD[0], NEW[0]], 3, []),
        ({**TREE, OLD[1]: ""}, [OLD[0], NEW[0]], 3, []),
        ({**TREE, SIDE: ""}, [OLD[0], NEW[0]], 3, ENDS),
        ({}, [], 9, []),
    ],
    ids=[
        "what was never finished of an epoch that ended",
        "an epoch that goes on",
        "all before what came",
        "a side that came",
        "the newest epoch has headers only",
        "all came",
        "a later epoch ended too",
        "a gap before what came",
        "a rotten header before what came",
        "a rotten header of an end",
        "nothing is known",
    ],
)
def test_only_ends_that_never_came_of_epochs_that_ended_go(
    previous: dict[str, str], came: list[str], epoch: int, goes: list[str]
) -> None:
    assert abandoned(previous, previous.keys() - set(came), epoch) == tuple(sorted(goes, reverse=True))


def test_of_two_that_end_alike_both_count_as_the_one_before() -> None:
    """A writer can make two headers whose digests begin alike: neither may be taken for the other."""
    twin = f"00002.0000000009.{OLD[2][-16:]}"
    previous = TREE | {twin: OLD[4][-16:]}
    assert abandoned(previous, previous.keys() - {NEW[0]}, 3) == (SIDE,)


def grown(seed: int, count: int) -> dict[str, str]:
    """A tree as vaults build it: a header follows one of its epoch, or opens one after any header of an earlier."""
    chance = random.Random(seed)
    first = f"00001.0000000001.{1:016x}"
    previous = {first: ROOT}
    for made in range(2, count + 1):
        before = chance.choice(list(previous))
        epoch, number = epoch_of(before), int(before.split(".")[1])
        if chance.random() < 0.3:
            epoch, number = epoch + chance.randint(1, 2), 0
        previous[f"{epoch:05d}.{number + 1:010d}.{made:016x}"] = before[-16:]
    return previous


def followed(previous: dict[str, str], end: str) -> list[str]:
    """The chain of `end` as a fetch follows it, to the header that names none before it."""
    by_digest = {it[-16:]: it for it in previous}
    way = [end]
    while previous[way[-1]] != ROOT:
        way.append(by_digest[previous[way[-1]]])
    return way


@given(seed=st.integers(0, 2**32), count=st.integers(1, 40), share=st.floats(0, 1), epoch=st.integers(0, 12))
def test_no_chain_loses_a_header_in_any_tree_and_after_a_cut_at_any_point(
    seed: int, count: int, share: float, epoch: int
) -> None:
    previous = grown(seed, count)
    chance = random.Random(seed)
    came = {it for it in previous if chance.random() < share}
    goes = abandoned(previous, previous.keys() - came, epoch)
    for cut in range(len(goes) + 1):
        left = {it: before for it, before in previous.items() if it not in goes[:cut]}
        assert came <= left.keys()
        for end in left:
            assert followed(left, end) == followed(previous, end)
        for end in came:
            way = set(followed(previous, end))
            assert way <= set(lacking(left, (), end)), "all of it is sent to who knows nothing"
    assert abandoned(left, left.keys() - came, epoch) == ()
    assert {it for it in left if epoch_of(it) < epoch} <= {
        step for end in left if end in came or epoch_of(end) >= epoch for step in followed(left, end)
    }, "nothing useless is left"
