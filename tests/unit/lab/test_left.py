"""A lab that ended is compared with what was there before it."""

from __future__ import annotations

from dataclasses import replace

from appliance_lab.stories.left import Left

NOTHING = Left(*(frozenset[str]() for _ in range(8)))


def test_what_was_there_before_is_not_left_behind() -> None:
    before = replace(NOTHING, mounts=frozenset({"/", "/srv"}), interfaces=frozenset({"lo"}))
    assert before.since(before) == ()


def test_what_came_is_named() -> None:
    after = replace(NOTHING, namespaces=frozenset({"lab.story.core"}), loops=frozenset({"/var/lib/pool.img"}))
    assert after.since(NOTHING) == ("namespaces: lab.story.core", "loops: /var/lib/pool.img")


def test_what_labs_share_is_not_blamed_on_one_while_another_is_up() -> None:
    other = replace(NOTHING, loops=frozenset({"/var/lib/pool.img"}), others=frozenset({"mine"}))
    assert other.since(NOTHING) == ()
    assert replace(other, namespaces=frozenset({"lab.story.core"})).since(NOTHING) == ("namespaces: lab.story.core",)
