"""Alert rules, by the real promtool: each fires when it must, says what it must, and is quiet before."""

from __future__ import annotations

import re
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import yaml

from appliance.monitor import failover
from appliance.monitor.checks import CHECKS, page_of

ROOT = Path(__file__).parents[3]
RULES = ROOT / "roles/monitoring/files/alerts.rules"
RUNBOOKS = ROOT / "docs/runbooks"
CASES = yaml.safe_load((ROOT / "tests/cases/monitor/alerts.yml").read_text())
ALERTS = {
    rule["alert"]: rule
    for group in yaml.safe_load(RULES.read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
}
EXTERNAL = "https://prometheus.example"
JUDGED_AFTER = {
    "ServiceSansDetenteur": failover.VACANT_SECONDS_MAX,
    "DetenteurContredit": failover.CONTESTED_SECONDS_MAX,
    "BasculeArretee": failover.SILENT_SECONDS_MAX,
    "MajoriteInjoignable": failover.SILENT_SECONDS_MAX,
}
"""After how many seconds the check itself says so."""


def promtool(*words: str) -> str:
    """Return the output of promtool, which must find nothing wrong."""
    done = subprocess.run(("promtool", *words), capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_reads_the_rules() -> None:
    assert "SUCCESS" in promtool("check", "rules", "--lint-fatal", str(RULES))


def test_each_alert_fires_when_it_must_and_says_so(tmp_path: Path) -> None:
    by_interval: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for case in CASES:
        by_interval[case.get("every", "1m")].append(expected(case))
    for interval, tests in by_interval.items():
        content = {"rule_files": [str(RULES)], "evaluation_interval": interval, "tests": tests}
        (tmp_path / f"{interval}.yml").write_text(yaml.safe_dump(content))
    promtool("test", "rules", *map(str, sorted(tmp_path.glob("*.yml"))))


def expected(case: dict[str, Any]) -> dict[str, Any]:
    """A case in the words of promtool."""
    name = case["alert"]
    rule = ALERTS[name]
    tests: list[dict[str, Any]] = []
    quiet = case.get("quiet", [])
    for moment in quiet if isinstance(quiet, list) else [quiet]:
        tests.append({"eval_time": moment, "alertname": name, "exp_alerts": []})
    if "fires" in case:
        annotations = {
            "summary": case["says"],
            "description": case.get("tells", rule["annotations"]["description"]),
            "runbook_url": f"{EXTERNAL}/user/{name}.md",
        }
        fired = {"exp_labels": {**rule["labels"], **case.get("labels", {})}, "exp_annotations": annotations}
        tests.append({"eval_time": case["fires"], "alertname": name, "exp_alerts": [fired]})
    series = [{"series": it, "values": str(values)} for it, values in case["series"].items()]
    return {
        "interval": case.get("every", "1m"),
        "input_series": series,
        "alert_rule_test": tests,
        "external_url": EXTERNAL,
    }


def test_power_is_that_at_the_plug_else_at_the_ups_else_of_the_processor(tmp_path: Path) -> None:
    series = {
        'appliance_power_watts{node="plug",source="plug"}': "21x9",
        'network_ups_tools_ups_realpower{node="plug"}': "14x9",
        'network_ups_tools_ups_realpower{node="ups"}': "12x9",
        'node_rapl_package_joules_total{node="ups"}': "0+300x9",
        'node_rapl_package_joules_total{node="neither"}': "0+300x9",
        'up{node="nothing"}': "1x9",
    }
    expected_samples = [
        {"labels": f'node:power_watts:sum{{node="{node}"}}', "value": value}
        for node, value in (("plug", 21), ("ups", 12), ("neither", 5))
    ]
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": "node:power_watts:sum", "eval_time": "8m", "exp_samples": expected_samples}],
    }
    content = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [test]}
    (tmp_path / "power.yml").write_text(yaml.safe_dump(content))
    promtool("test", "rules", str(tmp_path / "power.yml"))


def test_each_alert_is_tried() -> None:
    assert {case["alert"] for case in CASES if "fires" in case} == set(ALERTS)


def test_each_alert_has_its_page_and_each_page_its_alert() -> None:
    pages = {page.stem for page in RUNBOOKS.glob("*.md")} - {"README"}
    assert pages == set(ALERTS)
    assert set(map(page_of, CHECKS)) <= pages


def test_the_list_of_pages_says_of_each_what_the_page_says() -> None:
    told = dict(re.findall(r"^- \[\w+\]\((\w+)\.md\) : (.+)$", (RUNBOOKS / "README.md").read_text(), re.MULTILINE))
    leads = {name: " ".join((RUNBOOKS / f"{name}.md").read_text().split("\n\n")[1].split()) for name in ALERTS}
    assert told == leads


def test_a_page_says_after_how_long_its_alert_is_sent_its_threshold_included() -> None:
    for name, rule in ALERTS.items():
        threshold = re.match(r"time\(\) - [^<>]*> (\d+)(?![.\d]| \*)", rule["expr"])
        seconds = int(threshold[1]) if threshold else JUDGED_AFTER.get(name)
        said = re.search(r"Envoyée après (\d+) min\.", (RUNBOOKS / f"{name}.md").read_text())
        if seconds is not None and said:
            lasts = re.fullmatch(r"(\d+)m", rule.get("for", "0m"))
            assert lasts is not None
            assert int(said[1]) == seconds // 60 + int(lasts[1]), name


def test_each_alert_is_told_in_french_with_what_it_means_and_where_to_read_on() -> None:
    for name, rule in ALERTS.items():
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}, name
        assert rule["annotations"]["runbook_url"] == f"{{{{ $externalURL }}}}/user/{name}.md"
        assert rule["labels"]["severity"] in ("critical", "warning", "digest", "none"), name
