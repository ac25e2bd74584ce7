"""The next step from the voters that are listed to those that the territory names."""

from __future__ import annotations

import pytest

from appliance.coordination.argv import joining
from appliance.voter.etcd_admin import Listed
from appliance.voter.members import Changes, changes, names


def listed(urls: str) -> list[Listed]:
    return [Listed(ord(url), url) for url in urls]


@pytest.mark.parametrize(
    ("before", "wanted", "empty", "gone", "stay", "add", "wait"),
    [
        ("abc", "abc", "", "", 0, "", ""),
        ("abc", "abc", "b", "b", 0, "b", ""),
        ("abc", "abd", "d", "c", 0, "d", ""),
        ("abc", "ade", "de", "bc", 1, "d", "e"),
        ("acd", "ade", "e", "c", 0, "e", ""),
        ("abc", "abcde", "de", "", 0, "d", "e"),
        ("abcde", "abc", "", "de", 0, "", ""),
        ("abcde", "abcde", "de", "de", 0, "d", "e"),
        ("abcde", "abcfe", "ef", "ed", 0, "e", "f"),
        ("abcde", "afghi", "fghi", "bcde", 1, "f", "ghi"),
    ],
    ids=lambda it: str(it) or "-",
)
def test_one_voter_is_added_at_a_time_to_two_at_least(
    before: str, wanted: str, empty: str, gone: str, stay: int, add: str, wait: str
) -> None:
    assert changes(listed(before), tuple(wanted), tuple(empty)) == Changes(tuple(listed(gone)), stay, add, tuple(wait))


def test_a_new_voter_begins_with_the_very_list_of_the_others() -> None:
    assert joining(names([Listed(1, "https://a"), Listed(31, "https://z")], {"https://a": "commune-a"})) == (
        "ETCD_INITIAL_CLUSTER_STATE=existing\nFIRST=--initial-cluster 1f=https://z,commune-a=https://a\n"
    )
