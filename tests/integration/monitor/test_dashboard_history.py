"""The questions of dashboards to Prometheus: promtool reads every one, and a real Prometheus answers them."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
import yaml

from appliance.monitor import measures_file, metrics
from appliance.monitor.metrics import Sample
from appliance.portal.dashboard.ask import ask
from appliance.portal.dashboard.history import QUESTIONS, WINDOWS, History, fetch
from appliance.portal.dashboard.targets import Target
from appliance.portal.dashboard.watch import alerts
from appliance.units import DAY
from appliance_lab.bench.watched import serving
from appliance_lab.processes.catcher import Catcher
from appliance_lab.processes.watching import LOOPBACK, Watched, two_sites
from appliance_lab.story import waiting
from tests.pace import LONG

SERVICE = "docs-a"
SECONDS_MAX = LONG * 60


def test_promtool_reads_every_question(tmp_path: Path) -> None:
    rules = [{"record": f"question:{name}", "expr": it} for name, it in QUESTIONS.items()]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "questions", "rules": rules}]}))
    done = subprocess.run(("promtool", "check", "rules", str(file)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(not Path("/usr/bin/prometheus").exists(), reason="Prometheus is not installed: make setup")
def test_prometheus_remembers_what_a_node_told_and_says_which_alerts_fire(tmp_path: Path) -> None:
    now = time.time()
    told = {metrics.SAFE: now - 5 * DAY, metrics.RPO: DAY, metrics.NEW_BYTES: 3e6, metrics.DRILL_SECONDS: 90.0}
    held = {metrics.HELD_NEWEST: now - 3600, metrics.HELD_RPO: DAY, metrics.SIZE: 25.0, metrics.QUOTA: 100.0}
    samples = [Sample(metric.name, (SERVICE,), value) for metric, value in told.items()]
    samples += [Sample(metric.name, (SERVICE, "commune-a"), value) for metric, value in held.items()]
    samples.append(Sample(metrics.CHECK.name, ("backup-age", "written", SERVICE), metrics.STATES["failed"]))
    measures_file.save(tmp_path / "sheet", samples)
    with serving(tmp_path / "sheet") as port, Catcher() as catcher:
        nodes = (Watched("commune-a", "commune-a", port),)
        with two_sites(tmp_path / "sites", nodes, catcher.url) as (site, _):
            prometheus = Target(LOOPBACK, site.ports["prometheus"])
            found = History()
            with waiting("the alert and the copies that rules count", SECONDS_MAX) as done:
                while not done("SauvegardeTresEnRetard" in site.firing() and known(found)):
                    found = fetch(prometheus, time.time())
            firing = alerts(ask(Target(LOOPBACK, site.ports["prometheus"], "/api/v1/alerts")))
    assert found.why == ""
    for window in WINDOWS:
        newest = {question: found.line(window, question, SERVICE)[-1] for question in QUESTIONS}
        assert newest == {"age": pytest.approx(5 * DAY, abs=120), "copies": 1, "new": 3e6, "room": 0.25, "drill": 90}
        assert set(found.line(window, "age", SERVICE)[:-1]) == {None}, "nothing was known before"
    late = next(it for it in firing if it.name == "SauvegardeTresEnRetard")
    assert (late.labels["backup"], late.labels["severity"]) == (SERVICE, "critical")
    assert SERVICE in late.summary
    assert abs(late.since - now) < 120
    assert "Watchdog" not in {it.name for it in firing}


def known(found: History) -> bool:
    """Each question is asked of whole seconds, and a rule's first answer may be younger."""
    return found.line("jour", "copies", SERVICE)[-1] is not None
