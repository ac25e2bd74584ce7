"""An alert that outlasts its acknowledgement calls again, once: two of Debian's Alertmanagers that agree, each with a
queue."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from appliance.monitor import outbox_server
from appliance.monitor.duty import call_again
from appliance.monitor.duty.call_again import CallingAgain
from appliance_lab.processes.catcher import Catcher
from tests.integration.monitor.sites import ALERTMANAGER, ROSTER, Site, sites, tell
from tests.waiting import wait_until
from tests.worlds.outbox import served_queue

NAME = "DisqueMalade"
LOOKS = 8
pytestmark = pytest.mark.skipif(not ALERTMANAGER.exists(), reason="Alertmanager is not installed")


def count(catcher: Catcher, status: str) -> int:
    return sum(it.status == status for it in catcher.told(NAME))


def acknowledge_for_a_moment(site: Site, person: str) -> None:
    [alert] = site.alerts.firing()
    now = time.time()
    site.alerts.acknowledge(alert, person, now, now + 3)


@pytest.mark.timeout(300)
def test_what_outlasts_its_acknowledgement_calls_again_from_one_site_and_its_end_reaches_all_who_were_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A warning, so that Alertmanager itself calls Bob after an hour only. Then a queue that was started again looks,
    as after a restart."""
    looks = Counter[CallingAgain]()

    def counted(calling: CallingAgain, now: float, say: Callable[[str], None]) -> None:
        call_again.attempt(calling, now, say)
        looks[calling] += 1

    monkeypatch.setattr(outbox_server, "attempt", counted)
    monkeypatch.setattr(outbox_server, "LOOK_AGAIN_SECONDS", 0.5)
    monkeypatch.setattr(call_again, "PATIENCE_SECONDS", LOOKS * 0.5)
    with Catcher() as alice, Catcher() as bob, sites(tmp_path, 2, alice=alice.url, bob=bob.url) as both:
        tell(both, NAME, severity="warning")
        wait_until(lambda: count(alice, "firing") == 1, "Alice is on duty")
        acknowledge_for_a_moment(both[0], "bob")
        wait_until(lambda: (count(alice, "firing"), count(bob, "firing")) == (2, 1), "she and Bob are called again")
        for it in both:
            wait_until(lambda it=it: it.alerts.called_again(), "both sites know the call")  # type: ignore[misc]
        settings = {
            "receivers": {"regie": ["alice"], "astreinte": ["alice"], "recapitulatif": ["alice"]},
            "addressees": {"alice": {"url": alice.url}, "bob": {"url": bob.url}},
            "duty": ROSTER,
            "alertmanagers": {"urls": [both[1].alertmanager]},
        }
        with served_queue(settings, tmp_path / "restarted"):
            looks.clear()
            wait_until(lambda: len(looks) == 3 and min(looks.values()) > LOOKS, "each queue has looked again")
        assert (count(alice, "firing"), count(bob, "firing")) == (2, 1)
        tell(both, NAME, timedelta(0), severity="warning")
        wait_until(lambda: count(alice, "resolved") == count(bob, "resolved") == 1, "both learn of the end")
