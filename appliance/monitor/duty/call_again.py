"""Call again for an alert that was acknowledged a day ago and still lasts (`overdue.py`), from a monitoring site.

Its letters are kept before the step is noted at Alertmanager: a power cut in between calls twice, never not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from appliance.clock import utc_text
from appliance.errors import ApplianceError
from appliance.monitor.duty.addressed import OTHER, URGENT, Addressed, letters_to
from appliance.monitor.duty.overdue import PATIENCE_SECONDS, Again, due, said
from appliance.monitor.duty.service import Acknowledgements
from appliance.monitor.letter import FIRING
from appliance.monitor.outbox import addressees_of


class CallingAgain:
    """`put` keeps a letter, durably; `settings` are those of the queue."""

    def __init__(
        self, duty: Acknowledgements, settings: Mapping[str, Any], put: Callable[[Addressed, float], None]
    ) -> None:
        self._duty, self._settings, self._put = duty, settings, put
        self._called: set[tuple[object, ...]] = set()
        """Steps of this process, should Alertmanager answer and not take the note."""

    def look(self, now: float) -> tuple[Again, ...]:
        """Call what is due, and return it. Raise ApplianceError or OSError where Alertmanager or the disk fails."""
        sites, plan = self._duty.alertmanagers, self._duty.plan
        patience = sites.rank * PATIENCE_SECONDS
        found = due(sites.firing(), sites.acknowledgements(), sites.called_again(), now, plan, patience)
        called = tuple(it for it in found if it.key not in self._called)
        for it in called:
            for letter in self._letters(it, now):
                self._put(self._duty.with_link(letter, now), now)
            self._called.add(it.key)
        for it in found:
            for alert in it.alerts:
                sites.note_called_again(alert, it.step, it.persons, now)
        return called

    def _letters(self, again: Again, now: float) -> tuple[Addressed, ...]:
        plan, message = self._duty.plan, notification(again, now)
        letters = tuple(letters_to(again.persons, message, lambda name: said(name, again, plan), "called again", plan))
        if again.step > 1 or any(it.addressees for it in letters):
            return letters
        kind = URGENT if again.incident.urgent else OTHER
        everybody = addressees_of(self._settings, kind)
        return (Addressed(everybody, message, "nobody of the roster can be reached"),)


def notification(again: Again, now: float) -> dict[str, Any]:
    """As Alertmanager would post it, so that letters and webhooks take it like any other."""
    alerts = [
        {
            "status": FIRING,
            "labels": {"alertname": it.alert, "severity": it.severity, "node": it.place},
            "annotations": {"summary": it.summary, "description": it.description, "runbook_url": it.runbook_url},
            "startsAt": utc_text(it.began),
            "endsAt": utc_text(now),
            "fingerprint": it.fingerprint,
        }
        for it in again.alerts
    ]
    return {"version": "4", "status": FIRING, "receiver": URGENT if again.incident.urgent else OTHER, "alerts": alerts}


def attempt(calling: CallingAgain, now: float, say: Callable[[str], None]) -> None:
    """A look whose failure is a line in the journal: the next look comes in a minute."""
    try:
        for it in calling.look(now):
            names = ", ".join(it.persons) or "nobody"
            say(f"{it.incident.alert}: {names} called again, step {it.step}: {it.by.person} took care of it a day ago")
    except (ApplianceError, OSError) as error:
        say(f"what was acknowledged a day ago was not looked at: {error}")
