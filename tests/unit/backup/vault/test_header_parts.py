"""Headers in parts: which ones a caller lacks, how they are cut, and what an answer in parts may not do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest

from appliance.backup.vault.header_parts import cut, lacking, read_headers
from appliance.backup.vault.limits import HEADERS_MAX
from appliance.backup.vault.wire import Channel
from appliance.errors import IntegrityError
from tests.unit.backup.vault.names import after, name

LINE = [name(2, number) for number in range(1, 6)]
NEXT_EPOCH = name(3, 1)
OTHER_SIDE = name(2, 4, "b")
TREE = after(*LINE) | {NEXT_EPOCH: LINE[3][-16:], OTHER_SIDE: LINE[2][-16:]}


@pytest.mark.parametrize(
    ("known", "wanted", "lacks"),
    [
        ([], NEXT_EPOCH, sorted(TREE)),
        ([LINE[4]], LINE[4], [LINE[4], OTHER_SIDE, NEXT_EPOCH]),
        ([LINE[3]], NEXT_EPOCH, [OTHER_SIDE, LINE[4], NEXT_EPOCH]),
        ([NEXT_EPOCH, OTHER_SIDE], NEXT_EPOCH, [LINE[4], NEXT_EPOCH]),
        ([name(9, 9)], LINE[0], sorted(TREE)),
        (sorted(TREE), LINE[1], [LINE[1]]),
    ],
    ids=["nothing", "an end", "a parent of another epoch", "two sides", "what is not here", "all"],
)
def test_a_caller_lacks_what_leads_to_nothing_it_knows(known: list[str], wanted: str, lacks: list[str]) -> None:
    assert lacking(TREE, known, wanted) == tuple(sorted(lacks))


@pytest.mark.parametrize(
    ("sizes", "parts"),
    [([], [[]]), ([3], [[3]]), ([4, 4, 4], [[4, 4], [4]]), ([20], [[20]]), ([1] * 7, [[1, 1, 1], [1, 1, 1], [1]])],
)
def test_headers_are_cut_by_bytes_and_by_number(sizes: list[int], parts: list[list[int]]) -> None:
    found = list(cut(("x" * size for size in sizes), bytes_max=10, count_max=3))
    assert [[len(header) for header in part] for part in found] == parts


class Frames:
    def __init__(self, *frames: Mapping[str, Any]) -> None:
        self._frames = list(frames)

    def read_frame(self) -> Mapping[str, Any]:
        return self._frames.pop(0)


def read(first: Mapping[str, Any], *frames: Mapping[str, Any]) -> list[str]:
    return read_headers(cast(Channel, Frames(*frames)), first, "commune-b")


def test_an_answer_of_a_former_vault_has_all_headers_in_one_frame() -> None:
    assert read({"headers": ["a", "b"]}) == ["a", "b"]


def test_an_answer_in_parts_is_read_to_its_last_part() -> None:
    assert read({"headers": ["a"], "more": True}, {"headers": ["b"], "more": False}) == ["a", "b"]


@pytest.mark.parametrize(
    "frames",
    [
        [{"headers": "a"}],
        [{}],
        [{"headers": [], "more": True}],
        [{"headers": ["a"], "more": True}, {"headers": None}],
        [{"headers": ["a"] * HEADERS_MAX, "more": True}, {"headers": ["a"]}],
        [{"headers": ["a"], "more": True}, {"headers": ["a" * 5000]}],
    ],
    ids=[
        "a text",
        "none",
        "an empty part before more",
        "a later part that is none",
        "too many in all",
        "one that is no header",
    ],
)
def test_what_is_no_answer_in_parts_is_refused_with_the_name_of_the_peer(frames: list[Mapping[str, Any]]) -> None:
    with pytest.raises(IntegrityError, match="commune-b"):
        read(*frames)
