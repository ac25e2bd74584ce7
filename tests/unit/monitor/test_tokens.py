"""The token in the link of a letter comes back as it was, and nothing else is taken for one."""

from __future__ import annotations

import pytest

from appliance.errors import IntegrityError
from appliance.monitor.duty.tokens import ALERTS_MAX, KEY_BYTES, Asked, make_token, read_token

KEY = bytes(KEY_BYTES)
ASKED = Asked("alice", ("0123456789abcdef", "fedcba9876543210"), 1_796_299_800.0)


def test_a_token_comes_back_as_it_was() -> None:
    assert read_token(KEY, make_token(KEY, ASKED)) == ASKED


def test_a_token_of_as_many_alerts_as_there_may_be_fits_into_a_link() -> None:
    asked = Asked("alice", tuple(f"{number:016x}" for number in range(ALERTS_MAX)), 0.0)
    assert read_token(KEY, make_token(KEY, asked)) == asked
    assert len(make_token(KEY, asked)) < 400


@pytest.mark.parametrize("fingerprints", [(), ("0" * 16,) * (ALERTS_MAX + 1), ("",), ("0" * 15 + "G",)])
def test_there_is_no_token_for_nothing_too_much_and_what_is_no_fingerprint(fingerprints: tuple[str, ...]) -> None:
    assert make_token(KEY, Asked("alice", fingerprints, 0.0)) == ""


@pytest.mark.parametrize(
    "forged",
    [
        "",
        "x",
        make_token(b"x" * KEY_BYTES, ASKED),
        make_token(KEY, ASKED).replace("alice", "bob"),
        make_token(KEY, ASKED)[:-1],
        make_token(KEY, ASKED) + "\n",
        make_token(KEY, ASKED).replace(".6b", ".7b"),
        "." + make_token(KEY, ASKED),
    ],
)
def test_a_token_that_was_changed_or_made_elsewhere_is_refused(forged: str) -> None:
    with pytest.raises(IntegrityError, match="this link was not made here"):
        read_token(KEY, forged)
