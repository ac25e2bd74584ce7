"""The watchdog ends the processes that it was given, when it is time, and no other."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from appliance.programs import watchdog
from appliance_lab.checkers.verdict import read

ME = os.getpid()


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The process groups that were ended, instead of ending them."""
    groups: list[int] = []

    def end(group: int, number: int) -> None:
        assert number == signal.SIGKILL
        groups.append(group)

    monkeypatch.setattr("appliance.programs.watchdog.os.killpg", end)
    return groups


def epochs(looked: list[tuple[str, Any]]) -> list[tuple[str, int]]:
    return [(service, watch.epoch) for service, watch in looked]


@pytest.mark.parametrize(
    ("text", "ended"),
    [
        (f"10.0 {ME} {watchdog.started(ME)} 3", [ME]),
        (f"10.1 {ME} {watchdog.started(ME)} 3", []),
        (f"none {ME} {watchdog.started(ME)} 3", []),
        (f"10.0 {ME} {watchdog.started(ME) + 1} 3", []),
        ("10.0 0 0 3", []),
        ("10.0 1 1 3", []),
        ("10.0 999999999 5 3", []),
        ("", []),
        ("what stands here is no watch", []),
    ],
    ids=["late", "early", "alone", "another process", "no process", "init", "gone", "empty", "nonsense"],
)
def test_it_ends_exactly_the_process_that_it_was_told_of_when_its_time_is_up(
    text: str, ended: list[int], killed: list[int], tmp_path: Path
) -> None:
    (tmp_path / "docs-a.watch").write_text(text)
    assert epochs(watchdog.look(str(tmp_path), 10.0).ended) == [("docs-a", 3) for _ in ended]
    assert killed == ended


def test_on_a_host_it_ends_all_that_the_unit_started_unless_the_unit_was_started_anew(tmp_path: Path) -> None:
    cgroup = tmp_path / "system.slice/appliance-site@docs-a.service"
    cgroup.mkdir(parents=True)
    (cgroup / "cgroup.events").write_text("populated 1\nfrozen 0\n")
    watched = tmp_path / "watched"
    watched.mkdir()
    (watched / "docs-a.watch").write_text(f"10.0 0 {cgroup.stat().st_ino + 1} 3")
    assert epochs(watchdog.look(str(watched), 10.0, str(cgroup.parent)).ended) == []
    (watched / "docs-a.watch").write_text(f"10.0 0 {cgroup.stat().st_ino} 3")
    assert watchdog.look(str(watched), 9.9, str(cgroup.parent)).ended == []
    assert not (cgroup / "cgroup.kill").exists()
    assert epochs(watchdog.look(str(watched), 10.0, str(cgroup.parent)).ended) == [("docs-a", 3)]
    assert (cgroup / "cgroup.kill").read_text() == "1"
    (cgroup / "cgroup.events").write_text("populated 0\nfrozen 0\n")
    looked = watchdog.look(str(watched), 11.0, str(cgroup.parent))
    assert looked.ended == []
    assert epochs(looked.over) == [("docs-a", 3)], "its address is to go all the same"


def test_on_a_host_it_ends_the_unit_whose_deadline_was_there_before_it_and_nothing_beside_it(tmp_path: Path) -> None:
    served, watched = tmp_path / "served.json", tmp_path / "watched"
    served.write_text(json.dumps({"services": {"docs-a": {"unit": "appliance-site@docs-a.service"}}}))
    watched.mkdir()
    (watched / "docs-a.watch").write_text("10.0 0 0 3")
    cgroups = [tmp_path / f"appliance-{it}@docs-a.service" for it in ("site", "site-copy", "share-lay")]

    def look(at: float, file: Path = served) -> list[tuple[str, int]]:
        return epochs(watchdog.look(str(watched), at, str(tmp_path), str(file)).ended)

    assert look(11.0) == [], "it does not run yet"
    gone = watchdog.look(str(watched), 11.0, str(tmp_path), str(served))
    assert (epochs(gone.over), gone.following) == ([("docs-a", 3)], 11.25), "a crash leaves no control group"
    for cgroup in cgroups:
        cgroup.mkdir()
        (cgroup / "cgroup.events").write_text("populated 1\nfrozen 0\n")
    assert look(9.9) == []
    assert look(10.0, tmp_path / "none") == []
    assert look(10.0) == [("docs-a", 3)]
    assert [(it / "cgroup.kill").exists() for it in cgroups] == [True, False, False]


def test_it_looks_again_at_the_next_deadline_and_at_the_latest_in_a_second(tmp_path: Path) -> None:
    (tmp_path / "docs-a.watch").write_text(f"10.1 {ME} {watchdog.started(ME)} 3")
    assert watchdog.look(str(tmp_path), 10.0) == ([], [], 10.1)
    assert watchdog.look(str(tmp_path), 5.0) == ([], [], 6.0)


@pytest.mark.parametrize(
    ("text", "again"),
    [("9.0 0 0 3", 10.25), ("9.0 999999999 5 3", 11.0), ("none 0 0 3", 11.0)],
    ids=["a unit that may fill yet", "what has gone", "nobody"],
)
def test_it_looks_again_soon_for_what_had_not_begun_when_its_time_was_up(
    text: str, again: float, tmp_path: Path
) -> None:
    (tmp_path / "docs-a.watch").write_text(text)
    assert watchdog.look(str(tmp_path), 10.0).following == again


def test_what_it_did_stands_in_the_history_and_the_address_is_gone(tmp_path: Path) -> None:
    (tmp_path / "docs-a.address").touch()
    history = tmp_path / "failover.jsonl"
    watchdog.tell(str(tmp_path), "commune-a", str(history), "docs-a", 3)
    assert not (tmp_path / "docs-a.address").exists()
    begin = history.read_text().splitlines()[0].replace('"address-del"', '"begin", "policy": "exclusive", "home": "x"')
    (told,) = read([begin, *history.read_text().splitlines()])
    assert [(it.event, it.node, it.epoch) for it in told.events[1:]] == [
        ("address-del", "commune-a", 3),
        ("writer-stop", "commune-a", 3),
    ]


@pytest.mark.parametrize(
    ("before", "deadline", "seen"),
    [(0.0, 101.0, True), (0.0, 100.9, False), (100.5, 100.9, True), (100.9, 100.5, False), (100.0, 100.9, False)],
    ids=["far", "near", "moved on", "moved back", "the last one is over"],
)
def test_a_deadline_is_seen_by_who_looks_again_before_it(before: float, deadline: float, seen: bool) -> None:
    assert watchdog.sees(before, deadline, 100.0) is seen


def test_it_writes_its_history_through_no_link(tmp_path: Path) -> None:
    """It may write every file that it sees, and the folder is another program's."""
    (tmp_path / "of others").write_text("")
    (tmp_path / "history.jsonl").symlink_to(tmp_path / "of others")
    watchdog.tell(str(tmp_path), "commune-a", str(tmp_path / "history.jsonl"), "docs-a", 3)
    assert (tmp_path / "of others").read_text() == ""
