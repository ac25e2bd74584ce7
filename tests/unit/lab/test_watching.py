"""The parts of the rules that a story shortens and those it leaves (an age against an RPO is the RPO's to shorten), and
which of their alerts say that something is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from appliance_lab.checkout import code_folder
from appliance_lab.processes.watching import Site, faster

RULES = """
groups:
- name: a
  rules:
  - {alert: Silent, expr: time() - looked > 900 or state == 3, for: 10m}
  - {alert: Late, expr: time() - safe > on (node) (3 * rpo)}
  - {alert: Old, expr: time() - made > 3 * 86400, for: 1d}
  - {alert: Soon, expr: x == 1, for: 1m}
"""


def test_each_for_and_each_silence_is_sixty_times_shorter_and_nothing_else() -> None:
    [group] = yaml.safe_load(faster(RULES))["groups"]
    assert [(it["expr"], it.get("for")) for it in group["rules"]] == [
        ("time() - looked > 15 or state == 3", "10s"),
        ("time() - safe > on (node) (3 * rpo)", None),
        ("time() - made > 3 * 86400", "1440s"),
        ("x == 1", "1s"),
    ]


def test_on_a_monday_morning_nothing_is_wrong_by_the_digest_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = yaml.safe_load((code_folder() / "roles/monitoring/files/alerts.rules").read_text())
    severities = {it["alert"]: it["labels"]["severity"] for g in rules["groups"] for it in g["rules"] if "alert" in it}
    names = ("Watchdog", "RecapitulatifHebdomadaire", "SiteInjoignable", "Surchauffe")
    alerts = [{"state": "firing", "labels": {"alertname": it, "severity": severities[it]}} for it in names]
    alerts.append({"state": "pending", "labels": {"alertname": "FauxSucces", "severity": "critical"}})

    def answer(*_: object) -> Any:
        return {"data": {"alerts": alerts}}

    monkeypatch.setattr(Site, "get", answer)
    assert sorted(Site("a", Path(), {}).firing()) == ["SiteInjoignable", "Surchauffe"]
