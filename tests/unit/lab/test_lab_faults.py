"""A person's request for a lab's lines is understood, remembered, and refused where this kernel cannot make it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance.config.load import load
from appliance.errors import ApplianceError, NotFound, Unsupported, UsageError
from appliance_lab.hosts import kernel
from appliance_lab.hosts.decide import decide_faults
from appliance_lab.hosts.faults import (
    HEALED,
    Fault,
    check_end,
    check_supported,
    merge,
    parse_delay,
    parse_loss,
    parse_rate,
    remembered,
    targets,
    to_remember,
)
from appliance_lab.hosts.impair import queue_words
from appliance_lab.hosts.plan import Plan, make_plan

ROOT = Path(__file__).parents[3]
ALL = {feature.name: True for feature in kernel.FEATURES}
NONE = dict.fromkeys(ALL, False)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return make_plan(load(ROOT / "inventory/lab"), "test")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("commune-b", ("commune-b",)),
        ("hermitage--commune-a", ("hermitage--commune-a",)),
        ("commune-a--hermitage", ("hermitage--commune-a",)),
        ("commune-a--*", ("hermitage--commune-a", "commune-a--commune-b", "commune-a--commune-c")),
    ],
)
def test_a_target_is_a_node_a_link_in_either_order_or_all_links_of_a_site(
    plan: Plan, text: str, meant: tuple[str, ...]
) -> None:
    assert targets(plan, text) == meant


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("nobody", NotFound),
        ("commune-a--nobody", NotFound),
        ("a--b--c", UsageError),
        ("commune-a--commune-a", UsageError),
    ],
)
def test_what_is_no_target_is_refused_with_those_that_are(plan: Plan, text: str, error: type[ApplianceError]) -> None:
    with pytest.raises(error) as refused:
        targets(plan, text)
    assert refused.value.remedy


@pytest.mark.parametrize(("text", "bits"), [("10mbit", 10_000_000), ("512kbit", 512_000), ("1.5Gbit", 1_500_000_000)])
def test_a_rate_is_read_as_tc_reads_it(text: str, bits: int) -> None:
    assert parse_rate(text) == bits


@pytest.mark.parametrize(("text", "seconds"), [("20ms", 0.02), ("1.5s", 1.5), ("0ms", 0.0)])
def test_a_delay_has_a_unit(text: str, seconds: float) -> None:
    assert parse_delay(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["fast", "10", "10mb", "0kbit", "-1mbit", "999gbit"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="rate"):
        parse_rate(text)


@pytest.mark.parametrize("text", ["20", "-1ms", "11s", "soon"])
def test_what_is_no_delay_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"delay|long"):
        parse_delay(text)


@pytest.mark.parametrize("text", ["101%", "half", "0.5"])
def test_what_is_no_share_of_packets_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="share"):
        parse_loss(text)


def test_a_second_fault_of_a_line_adds_to_the_first() -> None:
    slow = merge({}, ("a--b",), rate=10_000_000)
    both = merge(slow, ("a--b",), delay_seconds=0.02, loss=0.01)
    assert both == {"a--b": Fault(rate=10_000_000, delay_seconds=0.02, loss=0.01)}
    assert str(both["a--b"]) == "10 Mbit/s each way, 20 ms longer each way, 1 % of packets lost each way"


def test_faults_are_remembered_and_what_is_healed_is_forgotten() -> None:
    faults = {"a--b": Fault(cut=True), "c": HEALED}
    written = json.loads(json.dumps(to_remember(faults)))
    assert remembered(written) == {"a--b": Fault(cut=True)}


@pytest.mark.parametrize(
    ("fault", "absent"),
    [
        (Fault(delay_seconds=0.02), {kernel.NETEM, kernel.TUN}),
        (Fault(loss=0.1), {kernel.NETEM, kernel.TUN}),
        (Fault(rate=1_000_000), {kernel.NETEM, kernel.TBF}),
        (Fault(cut=True), {kernel.NFT}),
    ],
)
def test_a_fault_that_this_kernel_cannot_make_is_unsupported(fault: Fault, absent: set[str]) -> None:
    check_supported("a--b", fault, kernel.backends(ALL))
    with pytest.raises(Unsupported, match="a--b: unsupported") as refused:
        check_supported("a--b", fault, kernel.backends({**ALL, **dict.fromkeys(absent, False)}))
    assert refused.value.exit_code == 9


def test_healing_needs_nothing_of_the_kernel() -> None:
    check_supported("a--b", HEALED, kernel.backends(NONE))


@pytest.mark.parametrize(
    ("absent", "job", "backend"),
    [
        ({kernel.NETEM}, "delay", kernel.SHUTTLE),
        (set(), "delay", kernel.NETEM),
        ({kernel.TBF}, "throttle", kernel.NETEM),
        ({kernel.BTRFS}, "pool", "overlay"),
        ({kernel.WIREGUARD}, "mesh", "wireguard-go"),
        ({kernel.WIREGUARD, kernel.TUN}, "mesh", kernel.UNSUPPORTED),
        ({kernel.DEVICE_MAPPER}, "encryption", kernel.UNSUPPORTED),
    ],
)
def test_the_kernel_decides_what_each_job_is_made_by(absent: set[str], job: str, backend: str) -> None:
    assert kernel.backends({**ALL, **dict.fromkeys(absent, False)})[job] == backend


@pytest.mark.parametrize(
    ("fault", "absent", "words"),
    [
        (HEALED, set(), ""),
        (Fault(cut=True), set(), ""),
        (Fault(rate=8_000_000), set(), "tbf rate 8000000bit burst 10000 latency 100ms"),
        (Fault(delay_seconds=0.02, loss=0.01), set(), "netem limit 100000 delay 20000us loss 1%"),
        (Fault(rate=8_000_000, delay_seconds=0.02), set(), "netem limit 100000 delay 20000us loss 0% rate 8000000bit"),
        (Fault(rate=8_000_000, delay_seconds=0.02), {kernel.NETEM}, "tbf rate 8000000bit burst 10000 latency 100ms"),
        (Fault(delay_seconds=0.02), {kernel.NETEM}, ""),
    ],
)
def test_the_queue_of_a_line_is_what_the_kernel_has_for_it(fault: Fault, absent: set[str], words: str) -> None:
    assert queue_words(fault, kernel.backends({**ALL, **dict.fromkeys(absent, False)})) == words


def test_only_an_end_of_a_link_can_be_the_one_whose_packets_are_lost(plan: Plan) -> None:
    check_end(plan, "hermitage--commune-a", "commune-a")
    for target in ("hermitage--commune-a", "commune-b"):
        with pytest.raises(UsageError, match=f"{target} is no link of commune-b"):
            check_end(plan, target, "commune-b")
    assert str(Fault(cut=True, cut_from="commune-a")) == "cut for what commune-a sends"


def test_a_decision_names_what_makes_the_fault_and_what_was_before() -> None:
    used = kernel.backends({**ALL, kernel.NETEM: False})
    made, healed = decide_faults(
        {"c": Fault(cut=True)}, {"a--b": Fault(rate=1_000_000, delay_seconds=0.005), "c": HEALED}, used
    )
    assert str(made) == "a--b: is 1 Mbit/s each way, 5 ms longer each way (by tbf and user-space router)."
    assert str(healed) == "c: is as it should be (it was cut)."
