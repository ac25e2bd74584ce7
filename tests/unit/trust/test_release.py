"""The content of a release, of both formats, and what is refused with a sentence."""

from __future__ import annotations

import pytest

from appliance.errors import IntegrityError, Refused
from appliance.trust import signed
from appliance.trust.keys import public_line
from appliance.trust.release import TYPE, make_release, read_release
from tests.worlds.voters import KEYS

HOME = "commune-a"
FIELDS = {"service": "docs-a", "epoch": 4, "holder": HOME, "reason": "moved", "time": "2026-12-01T19:00:00Z"}
LAST = f"00004.0000000007.{'a' * 16}"


def test_a_release_names_the_last_generation_or_says_that_there_is_none() -> None:
    for generation in (LAST, f"00002.0000000007.{'a' * 16}", ""):
        raw = make_release(KEYS[HOME], **FIELDS, generation=generation)  # type: ignore[arg-type]
        assert read_release(raw, public_line(KEYS[HOME])).generation == generation


@pytest.mark.parametrize("generation", [None, 7, "4.7", "00005.0000000001.aaaaaaaaaaaaaaaa", f"../{LAST}", f"{LAST}\n"])
def test_a_release_that_names_no_generation_of_its_own_past_is_refused(generation: object) -> None:
    raw = signed.make(TYPE, {**FIELDS, "generation": generation}, KEYS[HOME], 2)
    with pytest.raises(IntegrityError, match="generation"):
        read_release(raw, public_line(KEYS[HOME]))


def test_a_release_of_a_later_format_is_refused_with_what_to_do() -> None:
    raw = signed.make(TYPE, {**FIELDS, "generation": LAST}, KEYS[HOME], 3)
    with pytest.raises(Refused, match="has format 3; this version reads format 1 and 2") as refused:
        read_release(raw, public_line(KEYS[HOME]))
    assert refused.value.remedy == "Upgrade this node."
