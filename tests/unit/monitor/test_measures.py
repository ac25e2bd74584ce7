"""The measurements of a node: every metric is there where it is known, and is absent, never 0, where it is not."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from appliance.backup.vault.sealing.probed import Probed
from appliance.monitor import measures_file, metrics
from appliance.monitor.checks import CHECKS
from appliance.monitor.held import LOCK_TRIED_SECONDS_MAX
from appliance.monitor.measures import checks_in, measure
from appliance.monitor.metrics import METRICS, Sample
from appliance.monitor.status import judge
from appliance.monitor.view import AgentSeen, Machine, View
from appliance.territory.model import Node, Site, Territory
from appliance.units import GIB, HOUR
from tests.unit.monitor.status_cases import EVERY_CASE, judged
from tests.unit.monitor.views import NOON, kept, now, view

TERRITORY = Territory(
    "demo",
    "Démonstration",
    sites={"a": Site("a", "Commune A", insee="60025")},
    nodes={"commune-a": Node("commune-a", "a", "127.0.0.1", 22, 0, 0, "fibre", roles=("monitor",))},
)
RICH = {
    "written": [{"sequence": 3, "sealed": "20m"}],
    "held": [{"service": "docs-z", "sequence": 4, "received": "2h", "damage": ["rotten ab"]}],
    "readable": [{"service": "docs-a", "source": "local", "sequence": 3}],
    "attempts": {
        "backup docs-a": {"ok": "20m", "left_out": [["/x", "may not be read"]]},
        "catalogue docs-a": {"ok": "15m"},
        "verify docs-a": {"ok": "3h"},
        "drill docs-a": {"ok": "2d"},
        "check docs-z": {"ok": "3d", "alarms": ["a fault."]},
        "scrub docs-z": {"ok": "5h"},
        "exchange docs-z commune-d": {"ago": "5m", "failures": 30, "error": "no route.", "ok": "25h"},
    },
    "failover": {
        "stood": [
            {"service": "docs-a", "vacant": "5m", "holder": "", "unheard": "1m", "contested": "1m", "paused": "1m"},
            {"service": "docs-z", "home": "commune-z", "away": "2h"},
        ],
        "quarantined": {"commune-z": "maintenance"},
    },
}
FIGURES = {
    "backup docs-a": {"files": 100, "bytes": 5000, "new_bytes": 70},
    "catalogue docs-a": {"paths": 90},
    "verify docs-a": {"damaged": 0},
    "drill docs-a": {"files": 9, "seconds": 12, "wrong": 0},
    "scrub docs-z": {"damage": 0},
}


def rich() -> View:
    """A node that knows all that there is to know."""
    seen = view(now(), RICH)
    [written], [held], [readable] = seen.written, seen.held, seen.readable
    attempts = {name: dataclasses.replace(it, figures=FIGURES.get(name, {})) for name, it in seen.attempts.items()}
    attempts["catalogue docs-a"] = dataclasses.replace(attempts["catalogue docs-a"], mark=readable.newest.name)
    return dataclasses.replace(
        seen,
        attempts=attempts,
        written=(dataclasses.replace(written, rto_seconds=14400, envelopes={"recovery": NOON}, unsafe_since=NOON),),
        held=(dataclasses.replace(held, short_bytes=95 * GIB, lock=Probed(NOON, canary_seconds=2_000_000)),),
        readable=(dataclasses.replace(readable, catalogue_bytes=4096),),
        machine=Machine(1000, NOON, NOON),
    )


def samples(seen: View) -> dict[tuple[str, ...], float]:
    status = judge(seen, now(), AgentSeen(runs=True, looked=NOON))
    found = measure(seen, status, TERRITORY, now())
    assert len(found) == len({(it.metric, it.labels) for it in found}), "one value for each"
    return {(it.metric, *it.labels): it.value for it in found}


def test_each_metric_is_told_by_a_node_that_knows_everything_with_a_value_for_each_of_its_labels() -> None:
    found = samples(rich())
    by_name = {it.name: it for it in METRICS}
    assert {name for name, *_ in found} == set(by_name) - {
        it.name for it in (*metrics.OF_AN_OUTBOX, *metrics.OF_A_PLUG, metrics.RESTARTS)
    }
    assert [key for key in found if len(key) - 1 != len(by_name[key[0]].labels)] == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (("backup_newest_safe_timestamp_seconds", "docs-a"), NOON - 1200),
        (("backup_copies", "docs-a"), 2),
        (("backup_last_new_bytes", "docs-a"), 70),
        (("backup_last_left_out_files", "docs-a"), 1),
        (("replica_newest_archive_timestamp_seconds", "docs-z", "commune-a"), NOON - 7200),
        (("replica_damaged_files", "docs-z", "commune-a"), 1),
        (("backup_counted", "docs-a", "hermitage"), 1),
        (("holder_silent", "docs-z", "commune-d"), 1),
        (("replica_append_only", "docs-z", "commune-a"), 1),
        (("check_last_errors", "docs-z", "repository"), 1),
        (("restore_test_last_duration_seconds", "docs-a"), 12),
        (("check_state", "damage", "held", "docs-z"), 3),
        (("check_state", "backup-age", "written", "docs-a"), 0),
        (("failover_active", "docs-z"), 1),
        (("failover_origin_info", "docs-a", "commune-a"), 1),
        (("failover_active", "docs-a"), 0),
        (("failover_vacant_since_timestamp_seconds", "docs-a"), NOON - 300),
        (("failover_away_since_timestamp_seconds", "docs-z"), NOON - 7200),
        (("node_quarantined", "commune-z"), 1),
        (("commune_info", "Commune A", "60025", "a", "monitor"), 1),
    ],
)
def test_a_measure_is(key: tuple[str, ...], value: float) -> None:
    assert samples(rich())[key] == value


def test_what_is_not_known_has_no_sample_and_its_check_is_unknown() -> None:
    found = samples(view(now(), {"written": [{"sequence": 0, "at": []}], "held": [{"sequence": 0}]}))
    told = {name for name, *_ in found}
    unknown = {metrics.SAFE, metrics.NEWEST, metrics.SUCCESS, metrics.HELD_NEWEST, metrics.HELD_CAME}
    assert told.isdisjoint(it.name for it in (*unknown, metrics.APPEND_ONLY, metrics.CANARY, metrics.UPDATED))
    assert found["check_state", "lock", "held", "docs-z"] == metrics.LACKING


def test_what_a_program_that_has_ended_told_of_who_holds_what_is_no_measure_any_more() -> None:
    standing = {"vacant": "5m", "away": "3d", "branches": [2]}
    found = samples(view(now(), {"failover": {"looked": "5m", "stood": [standing]}}))
    told = {name for name, *_ in found}
    assert told.isdisjoint(it.name for it in (metrics.ACTIVE, metrics.VACANT, metrics.AWAY, metrics.NEWEST_EPOCH))
    assert found["failover_branches_waiting", "docs-a"] == 1
    assert found["check_state", "holder", "failover", "docs-a"] == metrics.STATES["unknown"]
    assert found["check_state", "failover", "node", "commune-a"] == metrics.STATES["failed"]


def test_a_node_without_a_program_of_any_service_knows_nothing_of_failover_and_is_not_blamed_for_it() -> None:
    seen = view(now(), {})
    found = samples(seen)
    assert found["check_state", "failover", "node", "commune-a"] == metrics.LACKING
    assert found["check_state", "majority", "node", "commune-a"] == metrics.LACKING
    assert found["check_state", "quarantine", "node", "commune-a"] == metrics.STATES["ok"]
    assert max(value for (name, *_), value in found.items() if name == metrics.CHECK.name) == metrics.STATES["ok"]
    assert judge(seen, now(), AgentSeen(runs=True, looked=NOON)).state == "ok"


def test_a_check_that_found_errors_and_a_drill_that_went_wrong_are_no_success() -> None:
    seen = rich()
    drill = dataclasses.replace(seen.attempts["drill docs-a"], figures={"files": 9, "seconds": 12, "wrong": 2})
    found = samples(dataclasses.replace(seen, attempts={**seen.attempts, "drill docs-a": drill}))
    assert ("check_last_success_timestamp_seconds", "docs-z", "repository") not in found
    assert ("restore_test_last_success_timestamp_seconds", "docs-a") not in found
    assert found["restore_test_last_mismatches", "docs-a"] == 2


def test_what_no_peer_has_signed_for_is_no_safe_copy_and_says_since_when_it_waits() -> None:
    found = samples(view(now(), {"written": [{"sequence": 3, "sealed": "20m", "at": [], "unsafe": "5h"}]}))
    assert (metrics.SAFE.name, "docs-a") not in found
    assert found[metrics.UNSAFE.name, "docs-a"] == NOON - 5 * HOUR


@pytest.mark.parametrize(
    ("lock", "state"),
    [
        (None, "lacking"),
        (Probed(NOON), "lacking"),
        (Probed(NOON, canary_seconds=5), "ok"),
        (Probed(NOON, allowed=("write to ab/abcd",), canary_seconds=5), "failed"),
        (Probed(NOON, broken="00002.0000000001.aaaa", canary_seconds=5), "failed"),
    ],
)
def test_a_lock_that_was_not_tried_is_unknown_and_does_not_count(lock: Probed | None, state: str) -> None:
    seen = view(now(), kept({"held": [{"sequence": 4}]}))
    seen = dataclasses.replace(seen, held=(dataclasses.replace(seen.held[0], lock=lock),))
    found = samples(seen)
    value = metrics.LACKING if state == "lacking" else metrics.STATES[state]
    assert found["check_state", "lock", "held", "docs-z"] == value
    assert ((metrics.CANARY.name, "docs-z", "commune-a") in found) == (state != "lacking")
    status = judge(seen, now(), AgentSeen(runs=True, looked=NOON))
    assert status.state == ("ok" if state == "lacking" else state)


@pytest.mark.parametrize(("allowed", "state"), [((), "unknown"), (("write to ab/abcd",), "failed")])
def test_a_lock_that_was_tried_long_ago_is_not_known_to_hold_and_what_was_lost_stays_lost(
    allowed: tuple[str, ...], state: str
) -> None:
    seen = view(now(), kept({"held": [{"sequence": 4}]}))
    lock = Probed(NOON - LOCK_TRIED_SECONDS_MAX - 1, allowed, canary_seconds=5)
    seen = dataclasses.replace(seen, held=(dataclasses.replace(seen.held[0], lock=lock),))
    found = samples(seen)
    assert found["check_state", "lock-probe", "held", "docs-z"] == metrics.STATES["unknown"]
    assert found.get(("check_state", "lock", "held", "docs-z")) == (metrics.STATES["failed"] if allowed else None)
    assert judge(seen, now(), AgentSeen(runs=True, looked=NOON)).state == state


def test_a_lost_lock_is_told_although_nothing_whole_is_held() -> None:
    seen = view(now(), kept({"held": [{"sequence": 0}]}))
    lock = Probed(NOON, broken="2.7", canary_seconds=5)
    seen = dataclasses.replace(seen, held=(dataclasses.replace(seen.held[0], lock=lock),))
    assert samples(seen)["check_state", "lock", "held", "docs-z"] == metrics.STATES["failed"]


@pytest.mark.parametrize("case", EVERY_CASE)
def test_every_reason_is_the_answer_of_a_check_that_was_made(case: dict[str, Any]) -> None:
    for it in judged(case).judged:
        assert {reason.check for reason in it.reasons} <= set(checks_in(it)) <= set(CHECKS)


def test_a_sheet_says_what_was_written_on_it(tmp_path: Any) -> None:
    written = (Sample("backup_copies", ("docs-a",), 2.0), Sample("bundle_serial", (), 7.0))
    measures_file.save(tmp_path / "sheet", written)
    assert measures_file.load(tmp_path / "sheet") == written
    assert (tmp_path / "sheet").stat().st_mode & 0o007 == 0


@pytest.mark.parametrize("content", [b"", b"{}", b'{"format": 2, "samples": []}', b'{"format": 1, "samples": [3]}'])
def test_a_sheet_that_is_none_says_nothing(tmp_path: Any, content: bytes) -> None:
    (tmp_path / "sheet").write_bytes(content)
    assert measures_file.load(tmp_path / "sheet") == ()
    assert measures_file.load(tmp_path / "none") == ()


def test_a_share_is_full_when_its_epoch_is_though_a_part_is_kept_for_the_next() -> None:
    seen = view(now(), kept({"held": [{"used": 70}]}))
    seen = dataclasses.replace(seen, held=(dataclasses.replace(seen.held[0], ceiling_bytes=70 * GIB),))
    [reason] = judge(seen, now(), AgentSeen(runs=True, looked=NOON)).judged[0].reasons
    assert (reason.state, reason.check) == ("failed", "quota")
    assert "70 GiB of 70 GiB that an epoch may fill of its 100 GiB" in reason.sentence
    assert samples(seen)["repo_quota_bytes", "docs-z", "commune-a"] == 70 * GIB


def test_a_word_that_nothing_changed_dates_the_service_and_its_copy() -> None:
    """An alert compares the two, so that both must have the same moment."""
    seen = {
        "written": [{"sequence": 3, "sealed": "9h", "still": "10m"}],
        "held": [{"service": "docs-z", "received": "9h", "still": "10m"}],
    }
    found = samples(view(now(), seen))
    assert found["backup_newest_safe_timestamp_seconds", "docs-a"] == NOON - 600
    assert found["backup_newest_archive_timestamp_seconds", "docs-a"] == NOON - 600
    assert found["replica_newest_archive_timestamp_seconds", "docs-z", "commune-a"] == NOON - 600
    assert found["replica_last_success_timestamp_seconds", "docs-z", "commune-a"] == NOON - 600
