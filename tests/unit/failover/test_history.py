"""Histories are judged rightly: a whole one that held, and each promise broken in it, one change at a time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.cli import main
from appliance.errors import UsageError
from appliance.failover.history import line
from appliance_lab.checkers.invariants import CHECKS, writers_at_once
from appliance_lab.checkers.verdict import Report, check, read

CASES = Path(__file__).parents[2] / "cases/failover"
HELD = CASES / "late-writes-refused.jsonl"
TRAP = CASES / "late-writes-accepted.jsonl"
A, B = "commune-a", "hermitage"

type Line = dict[str, Any]
type Change = Callable[[list[Line]], object]


def lines(path: Path = HELD) -> list[Line]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def judge(history: list[Line]) -> Report:
    (one,) = read(json.dumps(line) for line in history)
    return check(one, CHECKS)


def said(report: Report, verdict: str) -> set[str]:
    return {it.name for it in report.findings if it.verdict == verdict}


def at(t: float, event: str, /, **change: Any) -> Change:
    """Change the one line of that time and event."""

    def make(history: list[Line]) -> None:
        (line,) = [it for it in history if it["t_boottime"] == t and it["event"] == event]
        line.update(change)

    return make


def add(t: float, node: str, event: str, epoch: int = 0, **more: Any) -> Change:
    fixed = {"t_boottime": t, "wall": 1.8e9 + t, "node": node, "boot_id": "5f1c", "svc": "etat-civil", "epoch": epoch}
    return lambda history: history.append({**fixed, "event": event, **more})


def drop(event: str) -> Change:
    return lambda history: [history.remove(it) for it in list(history) if it["event"] == event]


def begin(**change: Any) -> Change:
    return at(0, "begin", **change)


def all_of(*changes: Change) -> Change:
    return lambda history: [change(history) for change in changes]


ADD = {"type": "ok", "f": "add"}


def test_a_run_with_a_cut_a_takeover_and_a_hand_back_held() -> None:
    report = judge(lines())
    assert said(report, "held") == {*(f"F{number}" for number in range(1, 14)), "sometimes"}
    assert report.verdict == "held"
    assert report.sometimes["refusal"] == 2


def test_a_lease_whose_end_a_slow_node_hears_of_after_the_next_one_began_ended_in_time() -> None:
    history = lines()
    told = [it for it in history if it["event"] in ("renewal-proven", "holder-deleted")]
    for it in told:
        it["lease"] = 100 + it["epoch"]
    (ended,) = [it for it in told if it.get("cause") == "expired"]
    for moment in (20.5, 23.7, 40.5):  # the next one took over at 20.6
        history.append({**ended, "t_boottime": moment})
    assert judge(history).verdict == "held"


def test_the_trap_what_a_dead_programs_kernel_still_sends_after_healing_is_found() -> None:
    """Without a fence the peer takes it: the writer was dead for 13 s when its buffer was delivered."""
    report = judge(lines(TRAP))
    assert report.verdict == "violated"
    found = next(it for it in report.findings if it.name == "F2")
    assert found.sentence == "vault accepted a write of epoch 1 of commune-a after 3. (2 such)"
    accepted, late = (lines(TRAP)[number - 1] for number in found.lines)
    assert (accepted["epoch"], late["epoch"], late["t_boottime"]) == (3, 1, 30.2)


@pytest.mark.parametrize(
    ("broken", "change"),
    [
        ("F1", at(17, "writer-stop", t_boottime=21.6)),
        ("F1", begin(policy="local-first")),
        ("F2", at(30.3, "received", accepted=True)),
        ("F3", at(21.5, "writer-start", epoch=1)),
        ("F4", at(35.7, "takeover-won", epoch=3)),
        ("F5", add(18.7, "client", "op", 1, value=9, server=A, **ADD)),
        ("F6", at(20.6, "takeover-won", t_boottime=20.2)),
        ("F6", at(19.3, "holder-deleted", t_boottime=18.9)),
        ("F7", at(40, "op", value=[1, 5])),
        ("F7", at(40, "op", value=[1, 4, 5, 77])),
        ("F8", drop("branch")),
        ("F9", all_of(begin(rto=1), at(21.8, "state", state="PROMOTING"), at(2.2, "state", state="STANDBY"))),
        ("F10", at(5, "fault", t_boottime=25)),
        ("F12", at(16.5, "address-del", t_boottime=25)),
        ("F12", add(23, "client", "op", 1, value=9, server=A, **ADD)),
        ("F13", at(41, "end", states={A: "ACTIVE", B: "DIVERGED"})),
        ("F13", at(41, "end", owner=B)),
    ],
)
def test_a_broken_promise_is_found(broken: str, change: Change) -> None:
    history = lines()
    change(history)
    report = judge(history)
    assert broken in said(report, "violated")
    assert report.verdict == "violated"


def test_a_number_that_two_asked_for_in_turn_and_one_was_granted_is_one_nodes() -> None:
    """Found by a soak: who won the voters' transaction and died before its grant left its number to the next."""
    history = lines()
    won = [it for it in history if it["event"] == "takeover-won"]
    for it in won:
        history.append({**it, "event": "granted"})
        it["epoch"] = 0
    assert {"F3", "F4"} <= said(judge(history), "held")
    last = won[-1]
    add(last["t_boottime"] + 0.1, "commune-b", "granted", history[-1]["epoch"])(history)
    assert {"F3", "F4"} <= said(judge(history), "violated")


def test_a_town_hall_whose_client_fails_in_the_very_moment_of_the_first_start_was_not_served_yet() -> None:
    """Found by a soak of ten thousand: the write came half a millisecond before the start, told as the same moment."""
    history = lines()
    begin(policy="local-first")(history)
    start = next(it["t_boottime"] for it in history if it["event"] == "writer-start" and it["node"] == A)
    failed = {"type": "fail", "f": "add", "value": 98, "server": A, "lan": A}
    add(start, "client", "op", 1, **failed)(history)
    assert "F11" in said(judge(history), "held")
    add(start + 0.001, "client", "op", 1, **failed)(history)
    assert "F11" in said(judge(history), "violated")


def test_who_wrote_at_once_and_for_how_long_is_measured() -> None:
    history = lines()
    (one,) = read(map(json.dumps, history))
    assert writers_at_once(one) == (0.0, "no two ever")
    stop = next(it for it in history if it["event"] == "writer-stop" and it["node"] == A)
    start = next(it for it in history if it["event"] == "writer-start" and it["node"] == B)
    stop["t_boottime"] = start["t_boottime"] + 0.031
    (one,) = read(map(json.dumps, history))
    seconds, who = writers_at_once(one)
    assert (round(seconds, 3), who) == (0.031, f"{A} and {B} from {start['t_boottime']:.3f} on")


@pytest.mark.parametrize("asked_for", [True, False])
def test_what_moves_at_the_moment_at_which_it_must_be_served_was_served_until_then(asked_for: bool) -> None:
    """Found by two soaks: that moment fell into the seconds in which a hand-back, one of them by night, made clients
    wait."""
    history = lines()
    begin(rto=5.6)(history)
    if not asked_for:
        drop("handover")(history)
    assert "F9" in said(judge(history), "held")


@pytest.mark.parametrize(
    ("unknown", "change"),
    [
        ("F1", at(22.1, "received", boot_id="another-machine")),
        ("F6", at(22.1, "received", boot_id="another-machine")),
        ("F2", drop("received")),
        ("F4", drop("takeover-won")),
        ("F7", drop("healed")),
        ("F13", drop("end")),
        ("sometimes", begin(expects=["divergence", "alone"])),
    ],
)
def test_what_cannot_be_told_is_unknown_and_never_held(unknown: str, change: Change) -> None:
    history = lines()
    change(history)
    report = judge(history)
    assert unknown in said(report, "unknown")
    assert report.verdict != "held"


def test_a_run_in_which_nothing_happened_is_unknown() -> None:
    report = judge([it for it in lines() if it["t_boottime"] < 4.5])
    assert said(report, "violated") == set()
    assert "disturbed, takeover, demotion" in next(it.sentence for it in report.findings if it.name == "sometimes")
    assert report.verdict == "unknown"


def local_first() -> list[Line]:
    """The same run of a local-first service that a person promoted elsewhere while its home was cut off, and wrote."""
    history = lines()
    begin(policy="local-first", expects=["divergence"])(history)
    add(20, "operator", "proof-of-death", 1, of=A, kind="act")(history)
    for event, moment in (("writer-stop", 17), ("address-del", 16.5)):
        at(moment, event, t_boottime=30.5)(history)
    add(26, "client", "op", 1, value=8, server=A, lan=A, **ADD)(history)
    at(31.2, "branch", values=[2, 3, 8])(history)
    return history


def test_a_home_that_goes_on_alone_beside_one_that_a_person_promoted_is_the_accepted_fork() -> None:
    assert judge(local_first()).verdict == "held"


def test_without_that_act_it_is_a_second_writer() -> None:
    history = local_first()
    drop("proof-of-death")(history)
    assert {"F1", "F12"} <= said(judge(history), "violated")


def test_a_home_whose_own_site_could_not_write_breaks_its_autonomy() -> None:
    history = local_first()
    add(10, "client", "op", 1, type="fail", f="add", value=6, server=A, lan=A)(history)
    assert said(judge(history), "violated") == {"F11"}


def thawed() -> list[Line]:
    """The whole run, with its holder frozen instead of cut."""
    history = lines()
    at(5, "fault", fault="freeze")(history)
    at(30, "heal", fault="freeze")(history)
    at(16.5, "state", t_boottime=30.004)(history)
    for event, moment in (("writer-stop", 17), ("address-del", 16.5)):
        at(moment, event, t_boottime=30.004)(history)
    return history


def test_a_frozen_writer_writes_nothing_meanwhile() -> None:
    assert said(judge(thawed()), "violated") == set()


@pytest.mark.parametrize(
    ("moment", "kept", "broken"),
    [
        (30.009, [77], set()),
        (30.009, [], {"F8"}),
        (30.02, [77], {"F5", "F12"}),
        (29.99, [77], {"F5", "F12"}),
    ],
)
def test_a_thawed_writer_has_milliseconds_and_what_it_took_is_in_a_branch(
    moment: float, kept: list[int], broken: set[str]
) -> None:
    history = thawed()
    add(moment, "client", "op", 1, **ADD, value=77, server=A)(history)
    add(31, A, "branch", 1, values=kept)(history)
    assert said(judge(history), "violated") == broken


def test_a_node_that_failed_to_serve_waits_before_it_tries_again() -> None:
    history = lines()
    add(24, B, "state", 3, state="DEMOTING", row="promoting.failed")(history)
    add(28, B, "state", 3, state="PROMOTING", row="waiting.won")(history)
    assert "F10" in said(judge(history), "violated")
    add(26, "nemesis", "fault", fault="kill", target=A)(history)
    assert "F10" in said(judge(history), "violated"), "another one lost its power"
    add(27, "nemesis", "fault", fault="kill", target=B)(history)
    assert "F10" not in said(judge(history), "violated")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "this is an empty history"),
        ("[1]", "run.jsonl:1: this is not a line of a history"),
        ('{"t_boottime": 1}', "this is not a line of a history ('node')"),
        ("not json", "run.jsonl:1: this is not a line of a history"),
    ],
)
def test_a_file_that_is_no_history_is_refused_with_its_line(text: str, sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        read(text.splitlines(), "run.jsonl")
    assert sentence in str(refused.value)


def test_an_unknown_event_and_a_missing_field_are_refused() -> None:
    history = lines()
    at(41, "end", event="fin")(history)
    with pytest.raises(UsageError, match='unknown event "fin"'):
        judge(history)
    history = lines()
    del history[0]["home"]
    with pytest.raises(UsageError, match='"begin" lacks home'):
        judge(history)


def test_a_line_is_refused_where_it_is_written_and_otherwise_read_back() -> None:
    moment = (12.3456, 1.8e9, "5f1c")
    begun = line(moment, "", "docs-a", 0, "begin", policy="mirror", home=A)
    (history,) = read([begun, line(moment, A, "docs-a", 3, "renewal-proven", sent=12.0, ttl=15.0)])
    assert (history.origin, history.events[1].epoch, history.events[1]["sent"]) == (A, 3, 12.0)
    assert history.events[1].t == 12.346
    with pytest.raises(UsageError, match='"renewal-proven" lacks ttl'):
        line(moment, A, "docs-a", 3, "renewal-proven", sent=12.0)
    with pytest.raises(UsageError, match='unknown event "promoted"'):
        line(moment, A, "docs-a", 3, "promoted")


def test_a_history_without_its_beginning_or_with_two_is_refused() -> None:
    with pytest.raises(UsageError, match='etat-civil has 0 lines with the event "begin"'):
        judge(lines()[1:])
    with pytest.raises(UsageError, match="has 2 lines"):
        judge([lines()[0], *lines()])


def test_histories_of_two_services_are_judged_apart_in_any_order_of_lines() -> None:
    other = [{**line, "svc": "docs-a"} for line in lines(TRAP)]
    mixed = [line for pair in zip(lines(), other, strict=True) for line in pair]
    reports = [check(history, CHECKS) for history in read(json.dumps(line) for line in mixed)]
    assert {report.service: report.verdict for report in reports} == {"etat-civil": "held", "docs-a": "violated"}


@pytest.mark.parametrize(("path", "code"), [(HELD, 0), (TRAP, 5)])
def test_the_verb_ends_with_what_it_found(path: Path, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["lab", "check", str(path), "--json"]) == code
    told = json.loads(capsys.readouterr().out)
    assert told["verdict"] == ("violated" if code else "held")
    assert [it["promise"] for it in told["services"][0]["findings"]][:2] == ["F1", "F2"]


def test_the_verb_says_unknown_with_its_own_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines() if line["event"] != "end"))
    assert main.run(["lab", "check", str(path)]) == 1
    assert capsys.readouterr().out.startswith("etat-civil: unknown\nPROMISE")


def test_the_verb_refuses_what_is_no_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run.jsonl").write_bytes(b"\xff\xfe")
    assert main.run(["lab", "check", str(tmp_path / "run.jsonl")]) == 2
    assert main.run(["lab", "check", str(tmp_path / "none.jsonl")]) == 3
    assert "there is no such file" in capsys.readouterr().err
