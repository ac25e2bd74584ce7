"""Acknowledgements as the queue serves them: a link for each letter, a look at what it is about, and the act itself.

A look changes nothing, since mail scanners follow links. The token of a letter is made by a key that this queue alone
has, and root, who signs in the name of an operator whose signed statement was checked
(`cli/monitor/acknowledge.py`).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from appliance.clock import utc_text
from appliance.errors import NotFound, Refused, Unreachable
from appliance.host.files import make_private_folder, write_atomic
from appliance.monitor.duty.acknowledging import LASTS_SECONDS, REMEDIES, SENTENCES, Verdict, judge, taken_by
from appliance.monitor.duty.addressed import CALLED, Addressed
from appliance.monitor.duty.alertmanager import AlertSites, Firing
from appliance.monitor.duty.calling import Acknowledgement, CalledAgain, DutyPlan, Incident, called_so_far
from appliance.monitor.duty.tokens import KEY_BYTES, Asked, make_token, read_token
from appliance.monitor.letter import FIRING, TAKEN
from appliance.units import HOUR

KEY_FILE = "token-key"
PATH = "/prise-en-charge/"
"""Where the pages of a monitoring node show what a link is about."""


@dataclass(frozen=True)
class Told:
    """The answer to a link: the verdict, the person it is for, and who is to be told that they take care of it."""

    asked: Asked
    verdict: Verdict
    letters: tuple[Addressed, ...] = ()


@dataclass(frozen=True)
class Acknowledgements:
    """`pages` is the address of the pages of this node, "" where there are none."""

    plan: DutyPlan
    alertmanagers: AlertSites
    key: bytes
    pages: str = ""

    def known(self) -> tuple[Acknowledgement, ...] | None:
        """None where no Alertmanager answers: in doubt somebody is called."""
        try:
            return self.alertmanagers.acknowledgements()
        except Unreachable:
            return None

    def with_link(self, letter: Addressed, now: float) -> Addressed:
        """`letter` with the link by which its person takes care of what it tells, if it tells a failure."""
        called, alerts = letter.notification.get(CALLED), letter.notification["alerts"]
        if not called or letter.notification["status"] != FIRING:
            return letter
        fired = tuple(str(it.get("fingerprint", "")) for it in alerts if it["status"] == FIRING)
        token = make_token(self.key, Asked(called["name"], fired, now))
        link = f"{self.pages}{PATH}{token}" if token and self.pages else ""
        marked = {**called, "link": link, "marks": list(fired)}
        return replace(letter, notification={**letter.notification, CALLED: marked})

    def look(self, token: str, now: float) -> Told:
        """Return what `token` would acknowledge. Raise ApplianceError for a forged one, and where nobody answers."""
        asked = read_token(self.key, token)
        firing, known = self.alertmanagers.firing(), self.alertmanagers.acknowledgements()
        return Told(asked, judge(asked, firing, known, now, self.plan))

    def acknowledge(self, token: str, now: float) -> Told:
        """Do it. What somebody takes care of already stays theirs."""
        found = self.look(token, now)
        for it in found.verdict.open:
            self.alertmanagers.acknowledge(it, found.asked.person, now, now + LASTS_SECONDS)
        return replace(found, letters=_letters(found, now, self.plan))

    def called_again(self) -> tuple[CalledAgain, ...]:
        """None of them where no Alertmanager answers."""
        try:
            return self.alertmanagers.called_again()
        except Unreachable:
            return ()

    def list(self, now: float) -> list[dict[str, Any]]:
        """All that fires, and who takes care of it."""
        known = self.alertmanagers.acknowledgements()
        return [shown(it, taken_by(it, known, now), self.plan) for it in self.alertmanagers.firing()]


def shown(alert: Firing, by: Acknowledgement | None, plan: DutyPlan) -> dict[str, Any]:
    """`alert` for a page or a command."""
    return {
        "fingerprint": alert.fingerprint,
        "alert": alert.alert,
        "place": alert.place,
        "severity": alert.severity,
        "summary": alert.summary,
        "began": alert.began,
        "by": by.person if by else "",
        "by_title": title_of(by.person, plan) if by else "",
        "until": by.until if by else 0,
    }


def answer(told: Told, plan: DutyPlan, *, done: bool) -> dict[str, Any]:
    """`told` for a page or a command; `done` says whether it was acknowledged or only looked at."""
    verdict = told.verdict
    return {
        "reason": verdict.reason,
        "person": told.asked.person,
        "title": title_of(told.asked.person, plan),
        "done": done and not verdict.reason,
        "open": [shown(it, None, plan) for it in verdict.open],
        "taken": [shown(it, by, plan) for it, by in verdict.taken],
    }


def refusal(reason: str, person: str) -> Refused:
    """The sentence for a `reason` of a verdict."""
    return Refused(SENTENCES[reason].format(person=person), remedy=REMEDIES[reason])


def title_of(person: str, plan: DutyPlan) -> str:
    return plan.titles.get(person) or person


def key_of(folder: Path) -> bytes:
    """The key of the queue in `folder`, made at its first start."""
    file = make_private_folder(folder) / KEY_FILE
    if not file.exists():
        write_atomic(file, secrets.token_bytes(KEY_BYTES), mode=0o600)
    return read_key(folder)


def read_key(folder: Path) -> bytes:
    """Raise NotFound where no queue has made one."""
    file = folder / KEY_FILE
    try:
        key = file.read_bytes()
    except FileNotFoundError as error:
        raise NotFound("the queue of this host has made no links yet.", where=str(file)) from error
    if len(key) != KEY_BYTES:
        raise NotFound(
            "this is not the key of a queue.", where=str(file), remedy="Remove it and restart appliance-outbox."
        )
    return key


def _letters(told: Told, now: float, plan: DutyPlan) -> tuple[Addressed, ...]:
    """A short letter to each person who was called for what is now taken care of, but for the one who does."""
    others = dict.fromkeys(
        name
        for it in told.verdict.open
        for name in called_so_far(_incident(it), now, plan)
        if name != told.asked.person
    )
    own = plan.persons[told.asked.person].addressees if told.asked.person in plan.persons else ()
    reached = dict.fromkeys(to for name in others for to in plan.persons[name].addressees if to not in own)
    if not reached:
        return ()
    notification = _notification(told, now, plan)
    return (Addressed(tuple(reached), notification, f"{told.asked.person} takes care of it"),)


def _notification(told: Told, now: float, plan: DutyPlan) -> Mapping[str, Any]:
    """As Alertmanager would post it, so that letters and webhooks take it like any other."""
    title = title_of(told.asked.person, plan)
    alerts = [
        {
            "status": FIRING,
            "labels": {"alertname": it.alert, "severity": TAKEN, "node": it.place},
            "annotations": {
                "summary": f"{title} s'occupe de : {it.summary}",
                "description": f"Personne d'autre n'est appelé pendant {LASTS_SECONDS // HOUR} h.",
            },
            "startsAt": utc_text(it.began),
            "endsAt": utc_text(now),
            "fingerprint": it.fingerprint,
        }
        for it in told.verdict.open
    ]
    return {"version": "4", "status": FIRING, "receiver": TAKEN, "alerts": alerts}


def _incident(alert: Firing) -> Incident:
    return Incident(alert.alert, alert.place, urgent=alert.urgent, firing=True, causes=(alert.cause,))
