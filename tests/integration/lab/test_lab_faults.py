"""Faults of a lab's lines, measured on SSH between two nodes: what was asked for is what the traffic sees."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from appliance.host.command import run
from appliance.host.processes import processes_running
from appliance_lab.hosts import kernel, needs, shuttle
from appliance_lab.hosts.faults import Fault
from appliance_lab.hosts.impair import queue_words
from tests.integration.lab.boxes import (
    Boxes,
    Conversation,
    bits_a_second,
    hears,
    round_trip_seconds,
    share_lost,
    until,
    up,
)

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(needs.why_not() is not None, reason=f"no lab here: {needs.why_not()}"),
    pytest.mark.xdist_group("lab"),
    pytest.mark.timeout(600),
]
A, B, C = "hermitage", "commune-a", "commune-b"
LINK = f"{A}--{B}"
SLOW_BITS, BYTES = 8_000_000, 2_400_000
TRIES = 3
NEAR = 0.2  # what was measured may differ by so much


@pytest.fixture(scope="module")
def boxes() -> Iterator[Boxes]:
    with up("tfaults") as made:
        yield made


@pytest.fixture(autouse=True)
def healed(boxes: Boxes) -> Iterator[None]:
    """Every fault ends by healing."""
    yield
    boxes.done("heal")
    assert round_trip_seconds(boxes, A, B) < 0.01


def test_a_cut_link_stops_a_session_and_a_healed_one_lets_it_go_on(boxes: Boxes) -> None:
    with Conversation(boxes, A, B) as session:
        assert session.says_back("before", 10.0)
        boxes.done("cut", LINK)
        assert not session.says_back("meanwhile", 2.0)
        assert round_trip_seconds(boxes, A, C) < 0.05, "another link of the same site is cut too"
        assert round_trip_seconds(boxes, C, B) < 0.05, "the other site is cut from others too"
        boxes.done("heal", LINK)
        assert session.hears("meanwhile", 60.0)
        assert session.says_back("after", 10.0)


def test_a_link_can_lose_only_what_one_end_sends(boxes: Boxes) -> None:
    assert hears(boxes, A, B)
    boxes.done("cut", LINK, "--from", A)
    assert hears(boxes, A, B), "what the other one sends arrives"
    assert not hears(boxes, B, A, 1.0)
    assert boxes.lab("cut", LINK, "--from", C).exit_code == 2
    boxes.done("heal", LINK)
    assert hears(boxes, B, A)


def test_a_link_that_is_cut_cannot_be_got_around(boxes: Boxes) -> None:
    boxes.done("delay", LINK, "1ms")
    boxes.done("cut", LINK)
    with pytest.raises(OSError, match=r"timed out|unreachable"):
        round_trip_seconds(boxes, A, B, count=1)


@pytest.mark.parametrize("target", [LINK, B])
@pytest.mark.parametrize("milliseconds", [5, 20, 50])
def test_a_delay_is_seen_twice_in_a_round_trip(boxes: Boxes, target: str, milliseconds: int) -> None:
    before = round_trip_seconds(boxes, A, B)
    boxes.done("delay", target, f"{milliseconds}ms")
    added = round_trip_seconds(boxes, A, B) - before
    print(f"{target} {milliseconds} ms each way: {1000 * added:.2f} ms more a round trip")
    assert added == pytest.approx(2 * milliseconds / 1000, rel=NEAR)
    assert round_trip_seconds(boxes, A, C) < 0.01


@pytest.mark.parametrize("target", [LINK, B])
@pytest.mark.parametrize("source", [A, B])
def test_a_throttled_line_passes_its_rate_either_way(boxes: Boxes, target: str, source: str) -> None:
    boxes.done("throttle", target, f"{SLOW_BITS}bit")
    rate = _best_rate(boxes, source, B if source == A else A)
    print(f"{target} from {source}: {rate / 1e6:.1f} of {SLOW_BITS / 1e6:.0f} Mbit/s")
    assert rate == pytest.approx(SLOW_BITS, rel=NEAR)


def test_rate_and_delay_hold_together_during_a_session(boxes: Boxes) -> None:
    with Conversation(boxes, A, B) as session:
        boxes.done("throttle", LINK, f"{SLOW_BITS}bit")
        boxes.done("delay", LINK, "10ms")
        assert session.says_back("slow", 10.0)
        assert round_trip_seconds(boxes, A, B) == pytest.approx(0.02, rel=NEAR)
        assert _best_rate(boxes, A, B) == pytest.approx(SLOW_BITS, rel=NEAR)
        boxes.done("heal", LINK)
        assert session.says_back("fast", 10.0)


def test_a_lossy_line_loses_its_share(boxes: Boxes) -> None:
    boxes.done("delay", LINK, "0ms", "--loss", "10%")
    lost = share_lost(boxes, A, B)
    print(f"10 % asked, {100 * lost:.1f} % lost")
    assert lost == pytest.approx(0.1, rel=NEAR)
    boxes.done("heal")
    assert share_lost(boxes, A, B, 1000) == 0


def test_healing_gives_the_speed_back(boxes: Boxes) -> None:
    boxes.done("throttle", LINK, "1mbit")
    boxes.done("delay", LINK, "100ms")
    boxes.done("heal")
    assert boxes.done("status")["faults"] == []
    assert bits_a_second(boxes, A, B, BYTES) > 5_000_000, "far more than the 1 Mbit/s that was asked for"


def test_a_pulled_cable_silences_a_node_but_not_its_console(boxes: Boxes) -> None:
    boxes.done("cut", C)
    assert boxes.states()[C] == "no answer"
    assert boxes.exec(C, "hostname").stdout.decode().strip() == C
    boxes.done("heal", C)
    until(lambda: boxes.states()[C] == "up", f"{C} answers again")


def test_a_fault_outlives_the_power_of_its_node_and_an_up(boxes: Boxes) -> None:
    boxes.done("delay", C, "30ms")
    boxes.done("power-off", C, "--cut")
    boxes.done("power-on", C)
    assert round_trip_seconds(boxes, A, C) == pytest.approx(0.06, rel=NEAR)
    boxes.done("up")
    assert round_trip_seconds(boxes, A, C) == pytest.approx(0.06, rel=NEAR)


def test_the_status_tells_faults_and_by_what_they_are_made(boxes: Boxes) -> None:
    boxes.done("throttle", LINK, "5mbit")
    boxes.done("cut", C)
    status = boxes.done("status")
    assert {it["target"]: (it["rate"], it["cut"]) for it in status["faults"]} == {
        LINK: (5_000_000, False),
        C: (None, True),
    }
    assert set(status["backends"]) == {"pool", "cut", "throttle", "delay", "mesh", "encryption", "limits"}


@pytest.mark.skipif(
    needs.why_not() is not None or kernel.backends(kernel.probe())["delay"] != kernel.SHUTTLE,
    reason="this kernel has netem, so there is no router in user space that could end",
)
def test_a_dead_router_is_a_dead_line_and_is_told(boxes: Boxes) -> None:
    boxes.done("delay", LINK, "5ms")
    for it in processes_running(shuttle.__file__.rpartition("/")[2]):
        if "tfaults" in it.argv[-1]:
            assert it.end()
    with pytest.raises(OSError, match=r"timed out|unreachable"):
        round_trip_seconds(boxes, A, B, count=1)
    told = boxes.lab("status").stdout.decode()
    assert "ALL TRAFFIC IS BLOCKED" in told
    boxes.done("delay", LINK, "5ms")
    assert round_trip_seconds(boxes, A, B) == pytest.approx(0.01, rel=NEAR)


def test_a_dry_run_says_the_same_and_does_nothing(boxes: Boxes) -> None:
    dry = boxes.done("cut", LINK, "--dry-run")
    assert dry["decisions"] == [{"about": LINK, "does": "is cut", "reason": "by nftables"}]
    assert boxes.done("status")["faults"] == []
    assert round_trip_seconds(boxes, A, B) < 0.01


def test_tc_understands_what_is_asked_of_netem(boxes: Boxes) -> None:
    used = {**kernel.backends(kernel.probe()), "delay": kernel.NETEM}
    words = queue_words(Fault(rate=8_000_000, delay_seconds=0.02, loss=0.01), used).split()
    asked = run(("unshare", "--net", "tc", "qdisc", "add", "dev", "lo", "root", *words), timeout_seconds=300)
    assert asked.exit_code == 0 or b"Specified qdisc kind is unknown" in asked.stderr, asked.tail()


@pytest.mark.parametrize(("words", "code"), [(("cut", "nobody"), 3), (("throttle", LINK, "fast"), 2)])
def test_what_cannot_be_meant_is_refused(boxes: Boxes, words: tuple[str, ...], code: int) -> None:
    assert boxes.lab(*words).exit_code == code


def _best_rate(boxes: Boxes, source: str, to: str) -> float:
    """The best of a few transfers: a machine that stands still makes a line look slower, never faster."""
    return max(bits_a_second(boxes, source, to, BYTES) for _ in range(TRIES))
