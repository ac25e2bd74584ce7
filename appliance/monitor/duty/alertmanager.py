"""The Alertmanagers of the monitoring sites: the alerts that fire, and who takes care of which.

An acknowledgement is stored there as a silence that silences nothing: it asks for a label that no alert has. So both
sites have it, through restarts and cut lines, as they have any silence, and the end of the alert is still reported,
which a silence of the alert itself would suppress (record 91). A call to the same persons after that is noted in the
same way (record 98).
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

from appliance import strict_json
from appliance.errors import IntegrityError, Unreachable
from appliance.host.network import http_call
from appliance.monitor.duty.calling import Acknowledgement, CalledAgain, Cause
from appliance.units import HOUR

LABEL = "acknowledged"
"""Its value in a silence is the fingerprint of the alert; no alert has it."""
AGAIN, STEP = "called_again", "called_again_step"
"""As `LABEL`, and the number of the step."""
NOBODY = "nobody"
NOTE_SECONDS = HOUR
"""How long a note of a call is in force. It stays to be read for two weeks after that, as every silence."""
NOT_SENT = "suppressed"
"""The state of an alert that a silence holds back, or that follows from another one."""
ANSWER_SECONDS_MAX = 4.0
ANSWER_BYTES_MAX = 4 << 20


@dataclass(frozen=True)
class Firing:
    """An alert that fires since `began`, UTC seconds; `place` is the node or site that it is about, "" for none.
    `suppressed`: Alertmanager sends nothing of it."""

    fingerprint: str
    alert: str
    place: str
    severity: str
    summary: str
    began: float
    description: str = ""
    runbook_url: str = ""
    suppressed: bool = False

    @property
    def urgent(self) -> bool:
        return self.severity == "critical"

    @property
    def cause(self) -> Cause:
        """The alert as acknowledgements name it."""
        return Cause(self.fingerprint, self.began)


@dataclass(frozen=True)
class AlertSites:
    """`urls` in the order in which they are asked: the first that answers speaks for all. `tls` is the folder of the
    certificate of this node; "" where they answer in clear."""

    urls: tuple[str, ...]
    tls: str = ""

    @property
    def rank(self) -> int:
        """The number of sites before this one, whose address comes first; the same order at every site."""
        return sorted(set(self.urls)).index(self.urls[0]) if self.urls else 0

    def firing(self) -> tuple[Firing, ...]:
        """Every alert that fires, also one that follows from another one. Raise ApplianceError for no answer."""
        return self._read("/api/v2/alerts", _firing)

    def acknowledgements(self) -> tuple[Acknowledgement, ...]:
        """Those in force, and those of the last days that ended. Raise ApplianceError for no answer."""
        return self._read("/api/v2/silences", _acknowledgement)

    def acknowledge(self, alert: Firing, person: str, at: float, until: float) -> None:
        """Note that `person` takes care of `alert`. Raise ApplianceError unless it was stored."""
        comment = f"{person} takes care of {alert.alert} of {alert.place or 'the territory'}."
        self._keep({LABEL: alert.fingerprint, "alertname": alert.alert}, person, at, until, comment)

    def tell(self, alert: Mapping[str, Any]) -> None:
        """Have the first of the sites, and no other one, send `alert`. Raise Unreachable unless it was taken."""
        fields = ("labels", "annotations", "startsAt", "endsAt")
        body = json.dumps([{it: alert[it] for it in fields}]).encode()
        try:
            self._answer(f"{self.urls[0]}/api/v2/alerts", body)
        except (OSError, IntegrityError) as error:
            raise Unreachable(f"Alertmanager does not take it: {self.urls[0]}: {error}.") from error

    def called_again(self) -> tuple[CalledAgain, ...]:
        """The calls of the last days. Raise ApplianceError for no answer."""
        return self._read("/api/v2/silences", _called_again)

    def note_called_again(self, alert: Firing, step: int, persons: Collection[str], at: float) -> None:
        """Note that `persons` were called again for `alert`. Raise ApplianceError unless it was stored."""
        comment = f"{alert.alert} of {alert.place or 'the territory'} lasts, and called again after an acknowledgement."
        labels = {AGAIN: alert.fingerprint, STEP: str(step), "alertname": alert.alert}
        self._keep(labels, " ".join(persons) or NOBODY, at, at + NOTE_SECONDS, comment)

    def _keep(self, labels: Mapping[str, str], author: str, at: float, until: float, comment: str) -> None:
        silence = {
            "matchers": [{"name": it, "value": value, "isRegex": False} for it, value in labels.items()],
            "startsAt": datetime.fromtimestamp(at, UTC).isoformat(),
            "endsAt": datetime.fromtimestamp(until, UTC).isoformat(),
            "createdBy": author,
            "comment": comment,
        }
        self._ask("/api/v2/silences", json.dumps(silence).encode())

    def _read[Kept](self, path: str, kept: Callable[[Mapping[str, Any]], Kept | None]) -> tuple[Kept, ...]:
        answer = self._ask(path)
        try:
            found = [kept(it) for it in answer]
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise Unreachable(f"what answers {path} is no Alertmanager of this version: {error}.") from error
        return tuple(it for it in found if it is not None)

    def _ask(self, path: str, body: bytes | None = None) -> Any:
        failures = []
        for url in self.urls:
            try:
                return strict_json.loads(self._answer(f"{url}{path}", body))
            except (OSError, ValueError, IntegrityError) as error:
                failures.append(f"{url}: {error}")
        raise Unreachable("no Alertmanager answers: " + "; ".join(failures or ["none is declared"]) + ".")

    def _answer(self, url: str, body: bytes | None) -> bytes:
        with http_call.call(
            url,
            seconds_max=ANSWER_SECONDS_MAX,
            bytes_max=ANSWER_BYTES_MAX,
            method="POST" if body else "GET",
            headers={"Content-Type": "application/json"} if body else {},
            body=body,
            tls=_context(Path(self.tls)) if self.tls else None,
        ) as answer:
            content = answer.read()
        if answer.status != HTTPStatus.OK:
            raise OSError(f"it answers {answer.status}")
        return content


def read_alertmanagers(settings: Mapping[str, Any]) -> AlertSites:
    """Those that the settings of the queue name: {"urls": [...], "tls": FOLDER}."""
    named = settings.get("alertmanagers", {})
    return AlertSites(tuple(named.get("urls", ())), str(named.get("tls", "")))


def _context(folder: Path) -> ssl.SSLContext:
    """Read at each call, since certificates are renewed."""
    made = ssl.create_default_context(cafile=folder / "root.pem")
    made.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return made


def _firing(told: Mapping[str, Any]) -> Firing:
    labels, words = told["labels"], told.get("annotations", {})
    return Firing(
        fingerprint=told["fingerprint"],
        alert=labels["alertname"],
        place=place_of(labels),
        severity=labels.get("severity", ""),
        summary=words.get("summary", labels["alertname"]),
        began=seconds(told["startsAt"]),
        description=words.get("description", ""),
        runbook_url=words.get("runbook_url", ""),
        suppressed=told.get("status", {}).get("state") == NOT_SENT,
    )


def place_of(labels: Mapping[str, str]) -> str:
    return labels.get("node") or labels.get("site") or ""


def seconds(text: str) -> float:
    """A moment as Alertmanager writes it: 2026-12-02T10:00:00.123Z."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return moment.timestamp()


def _acknowledgement(silence: Mapping[str, Any]) -> Acknowledgement | None:
    """None for any other silence."""
    named = _labels(silence)
    if LABEL not in named:
        return None
    return Acknowledgement(named[LABEL], silence["createdBy"], seconds(silence["startsAt"]), seconds(silence["endsAt"]))


def _called_again(silence: Mapping[str, Any]) -> CalledAgain | None:
    """None for any other silence."""
    named = _labels(silence)
    if AGAIN not in named or not named.get(STEP, "").isdecimal():
        return None
    persons = tuple(it for it in silence["createdBy"].split() if it != NOBODY)
    return CalledAgain(named[AGAIN], int(named[STEP]), persons, seconds(silence["startsAt"]))


def _labels(silence: Mapping[str, Any]) -> dict[str, str]:
    return {it["name"]: it["value"] for it in silence["matchers"] if not it["isRegex"] and it.get("isEqual", True)}
