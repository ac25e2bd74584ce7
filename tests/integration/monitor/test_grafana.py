"""The dashboard for Grafana: what is committed is what the code makes, and promtool reads every expression."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import yaml

from appliance.monitor.metrics import METRICS, PREFIX
from appliance_lab.pages.grafana import WIDTH, dashboard

ROOT = Path(__file__).parents[3]
FILE = ROOT / "docs/reference/grafana.json"
RECORDED = {
    rule["record"]
    for group in yaml.safe_load((ROOT / "roles/monitoring/files/alerts.rules").read_text())["groups"]
    for rule in group["rules"]
    if "record" in rule
}


def expressions() -> list[str]:
    return [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]


def test_what_is_committed_is_what_the_code_makes() -> None:
    assert json.loads(FILE.read_text()) == dashboard(), "make docs"


def test_promtool_reads_every_expression(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{number}", "expr": it} for number, it in enumerate(expressions())]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    done = subprocess.run(("promtool", "check", "rules", str(file)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules)} rules found" in done.stdout


def test_every_name_in_an_expression_is_a_metric_or_a_rule_of_ours() -> None:
    known = {metric.full_name for metric in METRICS} | RECORDED
    named = {name for it in expressions() for name in re.findall(rf"{PREFIX}\w+|\w+:\w+:\w+", it)}
    assert named <= known


def test_no_panel_lies_over_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        own = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not own & taken, panel["title"]
        assert max(x for x, _ in own) < WIDTH
        taken |= own


def test_the_panel_of_partial_backups_names_the_town_and_since_when_the_worst_first(tmp_path: Path) -> None:
    """The third town waits for its peers with a whole backup; a holder of the first says the same as its origin."""
    (panel,) = (it for it in dashboard()["panels"] if it["title"].startswith("Sauvegarde partielle"))
    series = {}
    for node, service, since, state in (("a", "docs-a", 3600, 1), ("b", "docs-b", 600, 1), ("c", "docs-c", 600, 0)):
        series |= {
            f'{PREFIX}commune_info{{node="{node}",commune="Town {node}",role="peer"}}': 1,
            f'{PREFIX}backup_unsafe_since_timestamp_seconds{{node="{node}",backup="{service}"}}': 7200 - since,
            f'{PREFIX}check_state{{node="{node}",check="whole",role="written",subject="{service}"}}': state,
        }
    series[f'{PREFIX}check_state{{node="b",check="whole",role="held",subject="docs-a"}}'] = 1
    expected = [
        {"labels": f'{{node="{node}",backup="docs-{node}",commune="Town {node}"}}', "value": value}
        for node, value in (("a", 3600), ("b", 600))
    ]
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": f"{value}x130"} for name, value in series.items()],
        "promql_expr_test": [{"expr": panel["targets"][0]["expr"], "eval_time": "2h", "exp_samples": expected}],
    }
    file = tmp_path / "test.yml"
    file.write_text(yaml.safe_dump({"rule_files": [], "tests": [test]}))
    done = subprocess.run(("promtool", "test", "rules", str(file)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
