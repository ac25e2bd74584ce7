"""The merge of a branch: a table of cases, and for whatever both sides did, that nothing of either is lost."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.branches.merge import Merge, Trees, named, plan_merge

LABEL = "Mairie d'Attichy 2026-11-26"


def merged(base: Mapping[str, str], here: Mapping[str, str], branch: Mapping[str, str]) -> Merge:
    return plan_merge(Trees(base, here, branch), lambda path: LABEL)


BESIDE = f"a ({LABEL}).txt"
CASES: dict[str, tuple[dict[str, str], dict[str, str], dict[str, str], Merge]] = {
    "alike": ({}, {"a.txt": "1"}, {"a.txt": "1"}, Merge()),
    "the branch alone changed it": ({"a.txt": "1"}, {"a.txt": "1"}, {"a.txt": "2"}, Merge(("a.txt",))),
    "the present alone changed it": ({"a.txt": "1"}, {"a.txt": "2"}, {"a.txt": "1"}, Merge()),
    "both changed it": ({"a.txt": "1"}, {"a.txt": "2"}, {"a.txt": "3"}, Merge(both={"a.txt": BESIDE})),
    "both made it": ({}, {"a.txt": "2"}, {"a.txt": "3"}, Merge(both={"a.txt": BESIDE})),
    "the branch made it": ({}, {}, {"a.txt": "1"}, Merge(("a.txt",))),
    "the branch removed it": ({"a.txt": "1"}, {"a.txt": "1"}, {}, Merge(removed=("a.txt",))),
    "the present removed it": ({"a.txt": "1"}, {}, {"a.txt": "1"}, Merge()),
    "the branch removed what the present changed": ({"a.txt": "1"}, {"a.txt": "2"}, {}, Merge()),
    "the present removed what the branch changed": ({"a.txt": "1"}, {}, {"a.txt": "2"}, Merge(both={"a.txt": BESIDE})),
    "merged before": ({}, {"a.txt": "2", BESIDE: "3"}, {"a.txt": "3"}, Merge(there=("a.txt",))),
    "the name beside is another's": (
        {},
        {"a.txt": "2", BESIDE: "4"},
        {"a.txt": "3"},
        Merge(both={"a.txt": f"a ({LABEL} 2).txt"}),
    ),
    "the name beside has it until the branch's own file of that name comes": (
        {"a.txt": "1", BESIDE: "2"},
        {BESIDE: "2"},
        {"a.txt": "2", BESIDE: "3"},
        Merge((BESIDE,), both={"a.txt": f"a ({LABEL} 2).txt"}),
    ),
    "a folder stands there now": ({}, {"a.txt/b": "2"}, {"a.txt": "3"}, Merge(both={"a.txt": BESIDE})),
    "a file stands where its folder was": (
        {},
        {"a": "2"},
        {"a/b.txt": "3"},
        Merge(both={"a/b.txt": f"a ({LABEL})/b.txt"}),
    ),
    "no base is left": ({}, {"a.txt": "1", "b": "1"}, {"a.txt": "2"}, Merge(both={"a.txt": BESIDE})),
}


@pytest.mark.parametrize("name", CASES)
def test_what_becomes_of_a_path(name: str) -> None:
    base, here, branch, expected = CASES[name]
    assert merged(base, here, branch) == expected


def test_a_label_comes_before_the_ending() -> None:
    assert named("a/notes.txt", "x") == "a/notes (x).txt"
    assert named("a/.profile", "x") == "a/.profile (x)"
    assert named("a/all.tar.gz", "x") == "a/all.tar (x).gz"


PATHS = st.sampled_from(["a", "b", "a/c", "a/d.txt", f"b ({LABEL})"])


@st.composite
def trees(draw: st.DrawFn) -> dict[str, str]:
    """A tree in which nothing is a file and a folder at once."""
    found = draw(st.dictionaries(PATHS, st.sampled_from("123"), max_size=4))
    return {path: mark for path, mark in found.items() if not any(other.startswith(f"{path}/") for other in found)}


@given(trees(), trees(), trees())
def test_nothing_of_either_side_is_lost_and_no_name_is_two_things(
    base: dict[str, str], here: dict[str, str], branch: dict[str, str]
) -> None:
    plan = merged(base, here, branch)
    after = {**here, **{name: branch[path] for path, name in plan.brings.items()}}
    for path, mark in here.items():
        assert after[path] == mark or base.get(path) == mark, f"{path} was changed here and is gone"
    for path, mark in branch.items():
        assert mark in after.values() or base.get(path) == mark, f"{path} was changed in the branch and is gone"
    assert len(set(plan.brings.values())) == len(plan.brings)
    for path in after:
        assert not any(other.startswith(f"{path}/") for other in after), f"{path} is a file and a folder"
    assert merged(base, after, branch).brings == {}, "merged again it brings nothing more"
