"""The nodes that count as gone without an act: the table of tests/cases/absence, then what no statement can do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as some

from appliance.backup.peers.absence_rule import OBSERVERS_MIN, proven_absent
from appliance.clock import utc_text
from appliance.errors import IntegrityError, Refused
from appliance.trust.absence import Absence, make_absence, read_absence
from appliance.trust.keys import public_line
from appliance.units import DAY

NOW = 1_800_000_000.0
SERVICE = "docs-a"
PARTIES = ("a", "h", "b", "d")
KEYS = {name: Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number, name in enumerate("ahbdc")}
PUBLIC = {name: public_line(key) for name, key in KEYS.items()}
CASES = yaml.safe_load((Path(__file__).parents[2] / "cases/absence/rule.yml").read_text())


def fields(
    observer: str, absent: str, *, said: float = 0, missed: float = 20, service: str = SERVICE
) -> dict[str, Any]:
    time = NOW + said * DAY
    return {
        "observer": observer,
        "absent": absent,
        "service": service,
        "since": utc_text(time - missed * DAY),
        "time": utc_text(time),
        "last_seen_age": round(missed * DAY),
    }


def statement(observer: str, absent: str, **more: Any) -> Absence:
    return read_absence(make_absence(KEYS[observer], **fields(observer, absent, **more)), PUBLIC)


def stated(said: Any) -> Absence:
    words = said if isinstance(said, dict) else {"say": said}
    observer, absent = words["say"].split(" misses ")
    more = {"missed" if name == "unseen_days" else name: value for name, value in words.items() if name != "say"}
    return statement(observer, absent, **more)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"].replace(" ", "_"))
def test_the_rule(case: dict[str, Any]) -> None:
    found = proven_absent(case.get("of", PARTIES), [stated(it) for it in case["says"]], SERVICE, NOW)
    assert sorted(found) == sorted(case["absent"])


PAIRS = some.sets(some.tuples(some.sampled_from("ahbd"), some.sampled_from("ahbd")))
MADE = {(one, other): statement(one, other) for one in PARTIES for other in PARTIES}


@given(PAIRS, some.sampled_from(PARTIES))
def test_whatever_one_node_says_it_alone_declares_nobody_lost(pairs: set[tuple[str, str]], liar: str) -> None:
    honest = [MADE[pair] for pair in pairs if pair[0] != liar]
    lies = [MADE[liar, other] for other in PARTIES]
    for name in proven_absent(PARTIES, honest + lies, SERVICE, NOW):
        missed_by = {one for one, other in pairs if other == name and one not in (liar, name)}
        assert len(missed_by) >= OBSERVERS_MIN - 1


@given(PAIRS)
def test_nobody_is_lost_whom_somebody_sees_who_is_seen_by_one_that_speaks(pairs: set[tuple[str, str]]) -> None:
    found = proven_absent(PARTIES, [MADE[pair] for pair in pairs], SERVICE, NOW)
    for name in found:
        speakers = {one for one, other in pairs if other == name and one != name}
        silent = set(PARTIES) - speakers - {name}
        assert all((speaker, other) in pairs for speaker in speakers for other in silent)


def test_an_absence_is_signed_by_its_observer_and_by_nobody_else() -> None:
    with pytest.raises(Refused, match="not signed by h"):
        read_absence(make_absence(KEYS["a"], **fields("h", "b")), PUBLIC)
    with pytest.raises(Refused, match="a key that may not sign it"):
        read_absence(make_absence(KEYS["c"], **fields("c", "b")), {"h": PUBLIC["h"]})
    with pytest.raises(IntegrityError, match='"time" is not a time'):
        read_absence(make_absence(KEYS["h"], **{**fields("h", "b"), "time": "yesterday"}), PUBLIC)
    with pytest.raises(IntegrityError, match="last_seen_age"):
        read_absence(make_absence(KEYS["h"], **{**fields("h", "b"), "last_seen_age": -1}), PUBLIC)
