"""One failure is one message, and so is its end: by Debian's Alertmanager and what the role monitoring writes."""

from __future__ import annotations

import json
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from appliance_lab.processes.catcher import Catcher
from tests.waiting import wait_until
from tests.worlds.alertmanager import alertmanager, is_ready

ROOT = Path(__file__).parents[3]
RULES = yaml.safe_load((ROOT / "roles/monitoring/files/alerts.rules").read_text())
SEVERITIES = {it["alert"]: it["labels"] for group in RULES["groups"] for it in group["rules"] if "alert" in it}
DEAD = {"node": "commune-b", "site": "commune-b"}
DARK = {"node": "commune-d-2", "site": "commune-d"}
OF_A_DEAD_NODE = (
    {"alertname": "SiteInjoignable", **DEAD},
    # The rules tell none of these four while nothing of the machine answers; one that began before must not be told.
    {"alertname": "SurveillanceMuette", **DEAD},
    {"alertname": "ServiceEnPanne", "service": "coffre", **DEAD},
    {"alertname": "ServiceEnPanne", "service": "partages", **DEAD},
    {"alertname": "PairMuet", "node": "commune-b", "peer": "commune-b"},
    *({"alertname": "CopiesInsuffisantes", "backup": f"docs-{letter}"} for letter in "acdefg"),
    *(
        {"alertname": "RepliqueEnRetard", "node": f"commune-{it}", "peer": f"commune-{it}", "backup": "b"}
        for it in "ac"
    ),
    # A town of two machines is dark.
    {"alertname": "MairieInjoignable", "site": "commune-d", "town": "Commune D"},
    {"alertname": "SiteInjoignable", **DARK},
    {"alertname": "MesuresMuettes", "job": "node", **DARK},
    {"alertname": "ServiceSansDetenteur", "backup": "docs-d", "site": "commune-d"},
)
SUPPRESSED = [
    *("MesuresMuettes", "PairMuet", "ServiceEnPanne", "ServiceEnPanne"),
    *("ServiceSansDetenteur", "SiteInjoignable", "SurveillanceMuette"),
]


def tell(address: str, *, ended: bool) -> None:
    now = datetime.now(UTC)
    # From now, as Prometheus says it: one that began before the wait of its group is told at once, inhibited or not.
    ends = now if ended else now + timedelta(hours=1)
    times = {"startsAt": now.isoformat(), "endsAt": ends.isoformat()}
    alerts = [{"labels": {**it, **SEVERITIES[it["alertname"]]}, **times} for it in OF_A_DEAD_NODE]
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{address}/api/v2/alerts", json.dumps(alerts).encode(), headers)
    with urllib.request.urlopen(request, timeout=10):
        pass


def suppressed(address: str) -> list[str]:
    with urllib.request.urlopen(f"{address}/api/v2/alerts", timeout=10) as answer:
        found: list[dict[str, Any]] = json.load(answer)
    return sorted(it["labels"]["alertname"] for it in found if it["status"]["state"] == "suppressed")


def messages(catcher: Catcher, status: str) -> list[tuple[str, int]]:
    """The alert and the number of those that it tells, of each message."""
    found = (it for it in list(catcher.caught) if it["status"] == status)
    return sorted((it["groupLabels"]["alertname"], len(it["alerts"])) for it in found)


@pytest.mark.skipif(not Path("/usr/bin/prometheus-alertmanager").exists(), reason="Alertmanager is not installed")
def test_a_dead_node_and_a_dark_town_are_one_message_each_and_so_is_each_that_follows(tmp_path: Path) -> None:
    expected = [("CopiesInsuffisantes", 6), ("MairieInjoignable", 1), ("RepliqueEnRetard", 2), ("SiteInjoignable", 1)]
    count = len(expected)
    with Catcher() as catcher, alertmanager(tmp_path, catcher.url) as address:
        wait_until(lambda: is_ready(address), "Alertmanager is there")
        tell(address, ended=False)
        wait_until(lambda: suppressed(address) == SUPPRESSED, "what follows from both is kept quiet")
        wait_until(lambda: len(messages(catcher, "firing")) >= count, "all was told")
        tell(address, ended=True)
        wait_until(lambda: len(messages(catcher, "resolved")) >= count, "the end of all was told")
        assert (messages(catcher, "firing"), messages(catcher, "resolved")) == (expected, expected)
