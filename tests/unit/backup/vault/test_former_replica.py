"""A former replica node never gives up a generation that fewer than all present ones have, whatever a peer says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.backup.vault.maintenance.former_replica import CheckedReceipt, given_up
from appliance.units import DAY

LOCK = 30 * DAY
NAMES = [f"00002.{number:010}.abcd" for number in range(1, 9)]
PRESENT = ("b", "c", "d")
names = st.sets(st.sampled_from(NAMES))
receipts = st.builds(CheckedReceipt, st.sampled_from(NAMES), st.integers(0, 2 * LOCK), names)


def test_all_that_all_present_holders_have_goes_a_lock_after_they_showed_the_newest() -> None:
    shown = CheckedReceipt(NAMES[2], LOCK, NAMES[:3])
    assert given_up(NAMES[:3], PRESENT, dict.fromkeys(PRESENT, shown), LOCK) == set(NAMES[:3])
    assert given_up([], PRESENT, {}, LOCK) == set()
    assert given_up(NAMES[:3], (), dict.fromkeys(PRESENT, shown), LOCK) == set(), "nobody stands in its place"


@given(held=names, said=st.dictionaries(st.sampled_from((*PRESENT, "liar")), receipts))
def test_what_goes_is_at_every_present_holder_that_showed_something_as_new_for_a_lock(
    held: set[str], said: dict[str, CheckedReceipt]
) -> None:
    for name in given_up(held, PRESENT, said, LOCK):
        having = {peer for peer, shown in said.items() if name in shown.has and peer in PRESENT}
        assert having == set(PRESENT)
        assert all(said[peer].generation >= max(held) and said[peer].since_seconds >= LOCK for peer in PRESENT)


@given(
    copies=st.lists(st.tuples(st.sampled_from("abcdefg"), st.integers(0, 3 * LOCK)), max_size=30),
    moves=st.lists(st.sets(st.sampled_from("abcdefg"), min_size=2, max_size=2), min_size=1, max_size=6),
)
def test_the_newest_is_never_held_by_fewer_than_promised_whatever_moves_and_who_looks_when(
    copies: list[tuple[str, int]], moves: list[set[str]]
) -> None:
    """Copies move from bundle to bundle before they are brought; each node looks at any moment."""
    newest, holds, since = NAMES[0], set(moves[0]), dict.fromkeys(moves[0], 0)
    for step, (node, now) in enumerate(sorted(copies, key=lambda it: it[1])):
        placed = moves[step * len(moves) // len(copies)]
        if node in placed:
            since.setdefault(node, now)
            holds.add(node)
        elif node in holds:
            said = {it: CheckedReceipt(newest, now - since[it], [newest]) for it in placed & holds}
            if given_up([newest], placed, said, LOCK):
                holds.discard(node)
                since.pop(node)
        assert len(holds) >= 2
