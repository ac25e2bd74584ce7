"""Collected keys are what a node printed and nothing else; a draft says what signing them would change."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.clock import utc_text
from appliance.config.collected import Collected, merge, read_collected
from appliance.config.draft import draft
from appliance.errors import UsageError
from appliance.territory.model import Territory
from appliance.trust.bundle import Bundle, make_bundle, read_bundle
from appliance.trust.keys import PublicKeys, public_line
from appliance.trust.revocation import NOTHING, Revocation, revoke
from tests.worlds.small import node, service, territory

AGE = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"
NOW = 1_790_000_000.0
TERRITORY_KEY = Ed25519PrivateKey.from_private_bytes(b"\x99" * 32)
PLAN = territory([node("a", "z1"), node("b", "z2"), node("c", "z3"), node("d", "z4")], [service("docs", "a")])


def line(seed: int) -> str:
    return public_line(Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


def shown(seed: int) -> Collected:
    return Collected("appliance", PublicKeys(line(seed), line(seed + 1), line(seed + 2), AGE))


def printed(**changes: Any) -> dict[str, Any]:
    return {"schema": 1, "node": "a", "user": "appliance", "keys": vars(shown(1).keys), **changes}


def read(value: Any) -> dict[str, Collected]:
    return read_collected(json.dumps(value).encode(), name="a.json")


def test_one_node_as_printed_and_several_by_name_read_the_same() -> None:
    assert read(printed()) == {"a": shown(1)}
    assert read({"schema": 1, "a": printed(), "b": {"user": "appliance", "keys": vars(shown(5).keys)}}) == {
        "a": shown(1),
        "b": shown(5),
    }


def test_a_comment_behind_a_key_is_left_out() -> None:
    keys = vars(shown(1).keys) | {"ssh": f"{line(2)} root@commune-a"}
    assert read(printed(keys=keys)) == {"a": shown(1)}


@pytest.mark.parametrize(
    "changes",
    [
        {"user": "-oProxyCommand=reboot"},
        {"user": "a b"},
        {"user": None},
        {"node": "../a"},
        {"keys": None},
        {"keys": {}},
        *({"keys": vars(shown(1).keys) | {"extra": "x"}},),
        *({"keys": vars(shown(1).keys) | {"ssh": text}} for text in ("", "ssh-ed25519", "ssh-ed25519 AAAA", AGE)),
        *({"keys": vars(shown(1).keys) | {"host": f"{line(2)}{text}"}} for text in ("\n", "\nssh-ed25519 AAAA", "AA")),
        *({"keys": vars(shown(1).keys) | {"sign": f'command="sh" {line(2)}'}},),
        *({"keys": vars(shown(1).keys) | {"age": text}} for text in ("", "age1", f"{AGE}\n", "-R", line(2))),
    ],
)
def test_what_could_harm_a_peer_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"a\.json"):
        read(printed(**changes))


def test_files_that_contradict_each_other_are_refused() -> None:
    assert merge([{"a": shown(1)}, {"a": shown(1), "b": replace(shown(5), keys=_with_age(shown(5)))}])
    with pytest.raises(UsageError, match="different keys"):
        merge([{"a": shown(1)}, {"a": shown(5)}])
    with pytest.raises(UsageError, match="a and b show the same key"):
        merge([{"a": shown(1), "b": shown(3)}])


def test_what_was_collected_twice_is_as_new_as_the_newer_of_both() -> None:
    days = [f"2026-11-{day}T00:00:00Z" for day in (20, 28)]
    old, new = (read(printed(grants=[], collected=day)) for day in days)
    for files in ((old, new), (new, old)):
        assert utc_text(merge(files)["a"].brought or 0) == days[1]
    with pytest.raises(UsageError, match='its "collected" is not a UTC time'):
        read(printed(collected="yesterday"))


def _with_age(collected: Collected) -> PublicKeys:
    return replace(collected.keys, age=AGE.replace("equnujwj", "equnujwk"))


def signed(**words: Any) -> Bundle:
    made = draft(PLAN, {"a": shown(1), "b": shown(5), "c": shown(9)}, now=NOW, **words)
    raw = make_bundle(
        TERRITORY_KEY,
        serial=made.serial,
        issued="2026-11-25T08:00:00Z",
        territory=made.territory,
        placements=made.placements,
        members=made.members,
        recovery=made.recovery,
    )
    return read_bundle(raw, public_line(TERRITORY_KEY))


def test_a_first_draft_names_who_has_no_keys() -> None:
    made = draft(PLAN, {"a": shown(1), "b": shown(5)}, now=NOW)
    assert (made.serial, made.new, made.without_keys, made.recovery) == (1, ("a", "b"), ("c", "d"), "")
    assert {move.node for move in made.moves} == set(made.placements["docs"].holders)


def test_the_next_draft_keeps_what_is_not_given_anew() -> None:
    before = signed(recovery=AGE)
    made = draft(PLAN, {"b": shown(20)}, now=NOW, previous=before)
    assert (made.serial, made.recovery, made.moves) == (2, AGE, ())
    assert (made.new, made.replaced, made.gone, made.without_keys) == ((), ("b",), (), ("d",))
    assert made.members["a"].keys == shown(1).keys
    assert made.members["b"].keys == shown(20).keys
    assert made.placements["docs"].holders == before.placements["docs"].holders


def test_other_voters_have_the_next_term_and_what_was_confirmed_stays_confirmed() -> None:
    def voting(*names: str) -> Territory:
        roles = {name: ("voter",) if name in names else () for name in PLAN.nodes}
        return replace(PLAN, nodes={name: replace(it, roles=roles[name]) for name, it in PLAN.nodes.items()})

    collected = {"a": shown(1), "b": shown(5), "c": shown(9), "d": shown(13)}
    first = draft(voting("a", "b", "c"), collected, now=NOW)
    raw = make_bundle(
        TERRITORY_KEY,
        serial=1,
        issued="2026-11-25T08:00:00Z",
        territory=first.territory,
        placements=first.placements,
        members=first.members,
        recovery="",
        term=first.term,
        confirmed=["ab" * 32],
    )
    before = read_bundle(raw, public_line(TERRITORY_KEY))
    same = draft(voting("a", "b", "c"), {}, now=NOW, previous=before)
    assert (same.term, same.confirmed) == (0, {"ab" * 32})
    assert draft(voting("a", "b", "d"), {}, now=NOW, previous=before).term == 1
    assert draft(voting("a", "b", "c"), {"c": shown(20)}, now=NOW, previous=before).term == 1, "a box in its place"


def test_a_node_that_left_the_territory_is_gone_with_its_keys() -> None:
    smaller = replace(PLAN, nodes={name: it for name, it in PLAN.nodes.items() if name != "c"})
    made = draft(smaller, {}, now=NOW, previous=signed())
    assert made.gone == ("c",)
    assert sorted(made.members) == ["a", "b"]


@pytest.mark.parametrize("serial", [1, 7])
def test_a_serial_that_every_node_would_refuse_is_refused_here(serial: int) -> None:
    with pytest.raises(UsageError, match=f"serial {serial} does not follow 7"):
        draft(PLAN, {}, now=NOW, previous=signed(serial=7), serial=serial)


def test_grants_come_along_with_keys_and_make_no_two_files_contradict_each_other() -> None:
    with_one, with_other, without = (read(printed(**it)) for it in ({"grants": ["one"]}, {"grants": ["two"]}, {}))
    assert with_one == without, "it is about who the node is"
    assert merge([without, with_one, with_other])["a"].grants == (b"one", b"two")
    assert merge([without])["a"].grants is None, "a former version does not say"
    with pytest.raises(UsageError, match="not a list of documents"):
        read(printed(grants={"docs-a": "one"}))


def test_the_keys_of_a_stolen_box_that_still_lie_there_stop_no_signature() -> None:
    """Its file stays among the collected keys until another box has its name."""
    stolen = PublicKeys(line(21), line(22), line(23), "age of the stolen box")
    before = make_bundle(
        TERRITORY_KEY,
        serial=4,
        issued=utc_text(NOW),
        territory=PLAN,
        placements={},
        members={},
        recovery="",
        revoked=revoke(NOTHING, Revocation("b", stolen, utc_text(NOW), "stolen"), []),
    )
    found = draft(
        PLAN,
        {"a": shown(1), "b": Collected("appliance", stolen)},
        now=NOW,
        previous=read_bundle(before, public_line(TERRITORY_KEY)),
    )
    assert (found.new, found.without_keys) == (("a",), ("b", "c", "d"))
