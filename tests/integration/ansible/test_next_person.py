"""An alert that lasts reaches the next person of the roster, and one that ended does not: Debian's Alertmanager and the
queue, with waits of seconds."""

from __future__ import annotations

import json
import time
import urllib.request
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from appliance_lab.processes.catcher import Catcher
from tests.waiting import wait_until
from tests.worlds.alertmanager import alertmanager, is_ready
from tests.worlds.outbox import duty, served_queue

WAIT_SECONDS = 12
ENDS_SECONDS = 10
LASTS, ENDS = "SiteInjoignable", "DisqueMalade"


def queue(folder: Path, **urls: str) -> AbstractContextManager[str]:
    settings = {
        "receivers": {it: ["alice", "bob"] for it in ("regie", "astreinte", "recapitulatif")},
        "addressees": {name: {"url": url} for name, url in urls.items()},
        "duty": duty(WAIT_SECONDS),
    }
    return served_queue(settings, folder)


def tell(address: str, alert: str, lasts: timedelta) -> None:
    now = datetime.now(UTC)
    labels = {"alertname": alert, "severity": "critical", "node": "commune-b"}
    times = {"startsAt": now.isoformat(), "endsAt": (now + lasts).isoformat()}
    body = json.dumps([{"labels": labels, **times}]).encode()
    request = urllib.request.Request(f"{address}/api/v2/alerts", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10):
        pass


def told(catcher: Catcher) -> set[tuple[str, str]]:
    return {(it.alert, it.status) for it in catcher.told()}


@pytest.mark.timeout(240)
@pytest.mark.skipif(not Path("/usr/bin/prometheus-alertmanager").exists(), reason="Alertmanager is not installed")
def test_what_lasts_reaches_the_next_person_after_the_wait_and_what_ended_does_not(tmp_path: Path) -> None:
    with (
        Catcher() as alice,
        Catcher() as bob,
        queue(tmp_path / "queue", alice=alice.url, bob=bob.url) as webhook,
        alertmanager(tmp_path, f"{webhook}/", duty(WAIT_SECONDS)) as address,
    ):
        wait_until(lambda: is_ready(address), "Alertmanager is there")
        begun = time.time()
        tell(address, ENDS, timedelta(seconds=ENDS_SECONDS))
        tell(address, LASTS, timedelta(hours=1))
        wait_until(lambda: {(LASTS, "firing"), (ENDS, "firing")} <= told(alice), "Alice is told of both")
        wait_until(lambda: (LASTS, "firing") in told(bob), "Bob is told of what lasts")
        assert time.time() - begun >= WAIT_SECONDS
        tell(address, LASTS, timedelta(0))
        wait_until(lambda: {(LASTS, "resolved"), (ENDS, "resolved")} <= told(alice), "Alice is told of both ends")
        wait_until(lambda: (LASTS, "resolved") in told(bob), "Bob is told of the end")
        assert {it.alert for it in bob.told()} == {LASTS}
