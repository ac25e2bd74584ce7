"""The list of what Prometheus takes of an answer is what the code makes, and has every name that a rule reads."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from appliance.monitor.metrics import METRICS
from appliance.monitor.scrape import SAMPLES_MAX, jobs

ROLE = Path(__file__).parents[3] / "roles/monitoring"
RULES = [it for g in yaml.safe_load((ROLE / "files/alerts.rules").read_text())["groups"] for it in g["rules"]]
EXPRESSIONS = [it["expr"] for it in RULES]
ASKED = [text for it in RULES for text in it.get("annotations", {}).values()]


def kept(name: str) -> set[str]:
    """The jobs from which a metric called `name` is taken."""
    first = {job: it["metric_relabel_configs"][0] for job, it in jobs().items()}  # type: ignore[index]
    return {job for job, rule in first.items() if re.fullmatch(rule["regex"], name)}


def test_what_is_committed_is_what_the_code_makes() -> None:
    assert json.loads((ROLE / "files/scrape.json").read_text()) == jobs(), "make docs"


def test_each_metric_that_a_rule_reads_is_taken_from_some_job() -> None:
    names = r"\b(?:appliance|node|smartmon|network_ups_tools|probe|prometheus|alertmanager)_\w+"
    words = re.findall(names, " ".join((*EXPRESSIONS, *ASKED)))
    assert len(set(words)) > 50
    assert {it for it in words if not kept(it)} == {"appliance_replica_"}, "of which a rule reads two by a pattern"


def test_no_job_of_another_program_tells_what_the_agent_tells() -> None:
    told = {it.full_name: kept(it.full_name) for it in METRICS}
    elsewhere = {name for name, by in told.items() if by != {"appliance"}}
    assert elsewhere == {it.full_name for it in METRICS if it.name.startswith(("outbox_", "power_"))}


def test_every_job_of_the_template_has_bounds() -> None:
    named = re.findall(r"bounds\((.+?)\)", (ROLE / "templates/prometheus.yml.j2").read_text())
    assert named == ["job", "job", "'outbox'", "'blackbox'", "'presence'", "'services'"]
    assert {it["sample_limit"] for it in jobs().values()} == {SAMPLES_MAX}


def test_the_alert_about_new_measures_begins_at_the_bound_of_one_answer() -> None:
    [expression] = [it for it in EXPRESSIONS if "scrape_series_added" in it]
    assert expression.endswith(f"> {SAMPLES_MAX}")
