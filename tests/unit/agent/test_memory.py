"""The memory of the agent: failures in a row, the last success, each peer on its own; and what a lost file costs."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.agent.memory import BUSY_SECONDS, LEFT_OUT_MAX, Memory, Outcome, load, save
from appliance.monitor.view import Now, Running

START, END = Now(1_800_000_000.0, 5000), Now(1_800_000_600.0, 5600)
BACKUP = Running("backup", "docs-a", (), START, "")
PUSH = Running("push", "docs-a", ("hermitage", "commune-b"), START, "")
BAD = Outcome(error="the disk is full.", remedy="Free space.")


def test_failures_are_counted_in_a_row_and_the_last_success_is_kept() -> None:
    memory = Memory().ended(BACKUP, Outcome(mark="2.1"), END)
    for _ in range(3):
        memory = memory.ended(BACKUP, BAD, END)
    last = memory.attempts["backup docs-a"]
    assert (last.failures, last.error, last.remedy) == (3, "the disk is full.", "Free space.")
    assert (last.time, last.age) == (END.wall, END.age)
    assert (last.ok_time, last.ok_age) == (START.wall, START.age), "a success counts from its start"
    assert memory.ended(BACKUP, Outcome(), END).attempts["backup docs-a"].failures == 0


def test_a_backup_whose_peer_failed_is_a_failed_push_to_that_peer_only() -> None:
    outcome = Outcome(mark="2.1", peers={"hermitage": "", "commune-b": "it does not answer."})
    attempts = Memory().ended(BACKUP, outcome, END).attempts
    assert attempts["backup docs-a"].failures == 0
    assert attempts["push docs-a hermitage"].failures == 0
    assert attempts["push docs-a commune-b"].error == "it does not answer."


def test_work_that_failed_before_any_peer_failed_for_all_of_them() -> None:
    attempts = Memory().ended(PUSH, BAD, END).attempts
    assert {attempts[f"push docs-a {peer}"].failures for peer in PUSH.peers} == {1}


def test_a_push_of_which_the_rest_is_taken_later_is_neither_a_failure_nor_done() -> None:
    before = Memory().ended(PUSH, Outcome(peers={"hermitage": "", "commune-b": ""}), START)
    outcome = Outcome(peers={"hermitage": "", "commune-b": "8 GiB follow."}, later={"commune-b": (3600, 90_000)})
    attempts = before.ended(PUSH, outcome, END).attempts
    last = attempts["push docs-a commune-b"]
    assert (last.failures, last.error, last.later_seconds, last.whole_seconds) == (0, "8 GiB follow.", 3600, 90_000)
    assert last.ok_age == before.attempts["push docs-a commune-b"].ok_age
    assert attempts["push docs-a"].failures == attempts["push docs-a hermitage"].later_seconds == 0


def test_work_that_finds_another_process_at_it_is_put_off_once_and_is_no_failure() -> None:
    """A person typed the same at that moment. One that hangs is told from the second time on."""
    busy = Outcome(error="the service docs-a is in use by another process.", busy=True)
    memory = Memory().ended(PUSH, Outcome(peers={"hermitage": "", "commune-b": ""}), START).ended(BACKUP, busy, END)
    told = memory.attempts["backup docs-a"]
    assert (told.failures, told.later_seconds) == (0, BUSY_SECONDS)
    assert {it.failures for it in memory.attempts.values()} == {0}, "nor of any peer"
    again = memory.ended(BACKUP, busy, END).attempts["backup docs-a"]
    assert (again.failures, again.later_seconds) == (1, 0)
    done = memory.ended(BACKUP, Outcome(mark="2.2"), END).ended(BACKUP, busy, END).attempts["backup docs-a"]
    assert (done.failures, done.ok_time) == (0, BACKUP.since.wall)


def test_a_holder_that_left_is_forgotten_by_the_next_exchange_and_a_silent_one_is_not() -> None:
    asking = Running("exchange", "docs-a", (), START, "")
    memory = Memory().ended(asking, Outcome(peers={"hermitage": "", "commune-b": "no route."}), END)
    memory = memory.ended(asking, Outcome(peers={"commune-b": "no route.", "commune-c": ""}), END)
    assert "exchange docs-a hermitage" not in memory.attempts
    assert memory.attempts["exchange docs-a commune-b"].failures == 2
    assert memory.ended(asking, BAD, END).attempts.keys() == memory.attempts.keys()


def test_what_is_at_work_is_remembered_until_it_ends() -> None:
    memory = Memory().began(BACKUP).began(PUSH)
    assert memory.ended(BACKUP, Outcome(), END).running == (PUSH,)


def test_everything_comes_back_from_the_file(tmp_path: Path) -> None:
    left_out = tuple((f"/srv/\udcff{number}", "may not be read") for number in range(LEFT_OUT_MAX + 5))
    outcome = Outcome(left_out=left_out, left_out_count=len(left_out), figures={"blobs": 3})
    memory = Memory().ended(BACKUP, outcome, END).ended(PUSH, BAD, END).began(PUSH)
    save(tmp_path / "agent.json", memory)
    assert load(tmp_path / "agent.json", running=True) == memory
    assert len(memory.attempts["backup docs-a"].left_out) == LEFT_OUT_MAX


def test_what_a_dead_agent_did_is_not_at_work_any_more(tmp_path: Path) -> None:
    save(tmp_path / "agent.json", Memory().began(BACKUP))
    assert load(tmp_path / "agent.json") == Memory()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 2}', b'{"format": 1, "attempts": {"x": 3}}'])
def test_a_damaged_or_foreign_file_counts_as_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "agent.json").write_bytes(content)
    assert load(tmp_path / "agent.json") == Memory()
    assert load(tmp_path / "none.json") == Memory()
