"""The page of metrics is the code's, and has each metric, each label and each recorded series with its meaning."""

from __future__ import annotations

import re
from pathlib import Path

from appliance.monitor.metrics import LABELS, METRICS
from appliance_lab.pages.metrics import alerts_reading, grouped, page, recorded

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/reference/metrics.md"


def test_the_page_says_what_the_code_says() -> None:
    assert PAGE.read_text() == page(), "write it again: make docs"


def test_each_metric_is_on_the_page_once_with_a_meaning() -> None:
    rows = re.findall(r"^\| `(appliance_\w+)` \| [^|]* \| ([^|]+)\. \|", page(), re.MULTILINE)
    assert sorted(name for name, _ in rows) == sorted(it.full_name for it in METRICS)
    assert [title for title, metrics in grouped().items() if not metrics] == []


def test_each_label_of_ours_has_a_meaning_and_no_meaning_is_left_of_one_that_went() -> None:
    assert set(LABELS) == {label for it in METRICS for label in it.labels}


def test_each_recorded_series_has_a_meaning() -> None:
    rules = (ROOT / "roles/monitoring/files/alerts.rules").read_text()
    assert list(recorded()) == re.findall(r"^  - record: (\S+)$", rules, re.MULTILINE)
    assert all(recorded().values())


def test_an_alert_is_named_at_the_metric_that_it_reads_and_at_no_other_that_begins_so() -> None:
    assert alerts_reading("appliance_outbox_set_aside") == ["NotificationsEnEchec"]
    assert alerts_reading("appliance_outbox_set") == []
    assert "DeuxEcrivains" in alerts_reading("appliance_backup_epoch")
