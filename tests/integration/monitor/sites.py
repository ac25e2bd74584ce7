"""Monitoring sites with a roster: Debian's Alertmanagers that agree with each other, and a queue beside each."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from appliance.monitor.duty.alertmanager import AlertSites
from appliance.monitor.duty.service import read_key
from appliance.monitor.duty.tokens import Asked, make_token
from appliance_lab.processes.node import free_ports
from tests.waiting import wait_until
from tests.worlds.alertmanager import alertmanager, is_ready
from tests.worlds.outbox import duty, served_queue

ALERTMANAGER = Path("/usr/bin/prometheus-alertmanager")
WAIT_SECONDS = 20
ROSTER = {**duty(WAIT_SECONDS), "people": {"alice": "Alice Martin", "bob": "Bob Petit", "maire": "Le maire"}}


@dataclass(frozen=True)
class Site:
    """A monitoring site: the address of its queue, the folder of that, and the address of its Alertmanager."""

    queue: str
    folder: Path
    alertmanager: str

    @property
    def alerts(self) -> AlertSites:
        return AlertSites((self.alertmanager,))

    def token(self, person: str, *fingerprints: str) -> str:
        return make_token(read_key(self.folder), Asked(person, fingerprints, time.time()))

    def ask(self, path: str, method: str = "GET") -> tuple[int, dict[str, Any]]:
        request = urllib.request.Request(f"{self.queue}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def firing(self) -> dict[str, dict[str, Any]]:
        status, told = self.ask("/firing")
        return {it["alert"]: it for it in told["firing"]} if status == 200 else {}


@contextmanager
def sites(folder: Path, count: int, **urls: str) -> Iterator[tuple[Site, ...]]:
    """As many sites that agree; each Alertmanager delivers to the queue beside it."""
    clusters = free_ports("127.0.0.1", count)
    addresses = [f"http://127.0.0.1:{it}" for it in free_ports("127.0.0.1", count)]
    with ExitStack() as stack:
        made = []
        for number, address in enumerate(addresses):
            own = folder / f"site-{number}"
            own.mkdir()
            settings = {
                "receivers": {it: list(urls) for it in ("regie", "astreinte", "recapitulatif")},
                "addressees": {name: {"url": url} for name, url in urls.items()},
                "duty": ROSTER,
                "alertmanagers": {"urls": [address, *addresses], "tls": ""},
                "pages": "https://site.example",
            }
            queue = stack.enter_context(served_queue(settings, own / "queue"))
            cluster = (clusters[number], *(it for it in clusters if it != clusters[number])) if count > 1 else ()
            port = int(address.rpartition(":")[2])
            stack.enter_context(alertmanager(own, f"{queue}/", ROSTER, cluster, port))
            made.append(Site(queue, own / "queue", address))
        for it in made:
            wait_until(lambda it=it: is_ready(it.alertmanager), "Alertmanager is there")  # type: ignore[misc]
        yield tuple(made)


def tell(at: tuple[Site, ...], alert: str, lasts: timedelta = timedelta(hours=1), severity: str = "critical") -> None:
    """Tell every Alertmanager, as Prometheus does."""
    now = datetime.now(UTC)
    labels = {"alertname": alert, "severity": severity, "node": "commune-b"}
    told = {"labels": labels, "annotations": {"summary": f"{alert} : commune-b"}, "startsAt": now.isoformat()}
    body = json.dumps([{**told, "endsAt": (now + lasts).isoformat()}]).encode()
    for it in at:
        headers = {"Content-Type": "application/json"}
        with urllib.request.urlopen(
            urllib.request.Request(f"{it.alertmanager}/api/v2/alerts", body, headers), timeout=10
        ):
            pass
