"""A limit on sending holds for all peers of a run together, and costs nothing where there is none."""

from __future__ import annotations

from appliance.backup.peers.rate_limit import BURST_SECONDS, RateLimit, rate_limit_of


class Watch:
    """A clock that moves by what is waited."""

    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time

    def wait(self, seconds: float) -> None:
        self.time += seconds


def test_a_megabyte_at_a_hundred_kilobytes_a_second_takes_ten_seconds() -> None:
    helper = Watch()
    rate_limit = RateLimit(100_000, helper.now, helper.wait)
    for _ in range(100):
        rate_limit.take(10_000)
    assert 10 - BURST_SECONDS <= helper.time - 100 <= 10


def test_what_was_not_used_is_not_saved_up() -> None:
    helper = Watch()
    rate_limit = RateLimit(100_000, helper.now, helper.wait)
    helper.time += 3600
    started = helper.time
    for _ in range(10):
        rate_limit.take(100_000)
    assert helper.time - started >= 10 - BURST_SECONDS


def test_no_limit_is_no_pace() -> None:
    assert rate_limit_of(0) is None
    assert rate_limit_of(8_000_000) is not None
