"""An alert that somebody takes care of calls nobody further: two of Debian's Alertmanagers that agree, a queue beside
each."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from appliance.monitor.duty.tokens import TOKENS
from appliance.monitor.letter import TAKEN
from appliance_lab.processes.catcher import Catcher
from tests.integration.monitor.sites import ALERTMANAGER, ROSTER, Site, sites, tell
from tests.waiting import wait_until
from tests.worlds.outbox import served_queue

TAKEN_CARE, LEFT = "SiteInjoignable", "DisqueMalade"
pytestmark = pytest.mark.skipif(not ALERTMANAGER.exists(), reason="Alertmanager is not installed")


def told(catcher: Catcher) -> set[tuple[str, str]]:
    return {(it.alert, it.status) for it in catcher.told() if it.labels["severity"] != TAKEN}


@pytest.mark.timeout(300)
def test_what_somebody_takes_care_of_at_one_site_calls_nobody_further_from_either(tmp_path: Path) -> None:
    with (
        Catcher() as alice,
        Catcher() as bob,
        sites(tmp_path, 2, alice=alice.url, bob=bob.url) as both,
    ):
        first, second = both
        tell(both, LEFT)
        tell(both, TAKEN_CARE)
        wait_until(lambda: {(TAKEN_CARE, "firing"), (LEFT, "firing")} <= told(alice), "Alice is told of both")
        mark = second.firing()[TAKEN_CARE]["fingerprint"]
        link = TOKENS + second.token("bob", mark)
        looked = second.ask(link)[1]
        assert ([it["alert"] for it in looked["open"]], looked["done"]) == ([TAKEN_CARE], False)
        assert second.firing()[TAKEN_CARE]["by"] == "", "a look is no acknowledgement"
        assert second.ask(link, "POST")[1]["done"]
        wait_until(lambda: first.firing()[TAKEN_CARE]["by"] == "bob", "the other site knows it, too")
        wait_until(lambda: [it for it in alice.told() if it.labels["severity"] == TAKEN], "Alice knows who has it")
        again = second.ask(link, "POST")[1]
        assert ([it["by_title"] for it in again["taken"]], again["open"]) == (["Bob Petit"], [])
        wait_until(lambda: (LEFT, "firing") in told(bob), "Bob is called for what nobody has")
        tell(both, TAKEN_CARE, timedelta(0))
        tell(both, LEFT, timedelta(0))
        wait_until(lambda: {(TAKEN_CARE, "resolved"), (LEFT, "resolved")} <= told(alice), "Alice is told of both ends")
        wait_until(lambda: (LEFT, "resolved") in told(bob), "Bob is told of the end")
        assert told(bob) == {(LEFT, "firing"), (LEFT, "resolved")}
        assert second.ask(link, "POST")[1]["reason"] == "over"


def test_who_is_not_among_people_a_forged_link_and_no_alertmanager_are_refused(tmp_path: Path) -> None:
    with Catcher() as alice, sites(tmp_path, 1, alice=alice.url, bob=alice.url) as [site]:
        tell((site,), LEFT)
        wait_until(lambda: LEFT in site.firing(), "it fires")
        mark = site.firing()[LEFT]["fingerprint"]
        assert site.ask(TOKENS + site.token("mallory", mark), "POST")[1]["reason"] == "unknown"
        forged = site.token("maire", mark).replace("maire", "alice")
        assert site.ask(TOKENS + forged, "POST")[0] == 403
        assert site.firing()[LEFT]["by"] == ""
        assert site.ask(TOKENS + site.token("maire", mark), "POST")[1]["done"], "without a week, but among people"
        assert site.firing()[LEFT]["by_title"] == "Le maire"
    settings = {"receivers": {}, "addressees": {}, "alertmanagers": {"urls": [site.alertmanager]}}
    with served_queue({**settings, "duty": {**ROSTER, "persons": []}}, tmp_path / "alone") as queue:
        alone = Site(queue, tmp_path / "alone", site.alertmanager)
        status, answer = alone.ask(TOKENS + alone.token("alice", mark), "POST")
        assert (status, "no Alertmanager answers" in answer["what"]) == (503, True)
    with served_queue(settings, tmp_path / "bare") as queue:
        assert "there is no roster" in Site(queue, tmp_path, "").ask("/firing")[1]["what"]
