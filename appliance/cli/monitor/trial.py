"""A message that says nothing but that messages arrive, and what became of it at each addressee.

It goes by the settings and the code of the queue (`monitor/outbox_server.py`), past its files: somebody waits for it.
What a real alert goes through besides, Prometheus and Alertmanager, has alerts of its own.
"""

from __future__ import annotations

import smtplib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from appliance.clock import utc_text
from appliance.errors import ApplianceError
from appliance.monitor.letter import TRIAL
from appliance.monitor.sending import by_apprise
from appliance.units import printable

SAID_MAX = 200
"""Letters of a server's own words that a sentence repeats."""
SETTINGS = "Correct monitoring_addressees in group_vars on the control machine, and play site.yml."
DOWN = "Alerts wait in the queue until it does. Start the server or open its port, then type this again."


@dataclass(frozen=True)
class Tried:
    """`place`: mail addresses, a webhook or a kind of service; `why` is "" where the server took the message."""

    to: str
    place: str
    why: str = ""
    remedy: str = ""


def trial_message(node: str, now: str) -> Mapping[str, Any]:
    """As Alertmanager posts it, in the words of a town; `now` is UTC."""
    told = {
        "summary": f"Lettre d'essai de {node}",
        "description": "Rien n'est en panne. Cette lettre montre que les alertes de ce nœud vous parviennent.",
        "runbook_url": "rien.",
    }
    labels = {"alertname": "LettreEssai", "severity": TRIAL, "node": node}
    alert = {"status": "firing", "labels": labels, "annotations": told, "startsAt": now, "endsAt": now}
    return {"version": "4", "status": "firing", "receiver": "essai", "alerts": [alert]}


def trial_alert(node: str, now: float, lasts_seconds: float) -> Mapping[str, Any]:
    """As an Alertmanager is told it. The label `sent` makes each one another alert: none counts as told already."""
    (alert,) = trial_message(node, utc_text(now))["alerts"]
    return {**alert, "labels": {**alert["labels"], "sent": f"{now:.3f}"}, "endsAt": utc_text(now + lasts_seconds)}


def try_each(
    addressees: Mapping[str, Mapping[str, Any]],
    names: Iterable[str],
    message: Mapping[str, Any],
    send: Callable[[Mapping[str, Any], Mapping[str, Any]], None],
) -> tuple[Tried, ...]:
    """Send `message` to each of `names`; one that fails holds up no other one."""
    return tuple(_try(name, addressees[name], message, send) for name in names)


def _try(
    name: str,
    addressee: Mapping[str, Any],
    message: Mapping[str, Any],
    send: Callable[[Mapping[str, Any], Mapping[str, Any]], None],
) -> Tried:
    try:
        send(addressee, message)
    except (OSError, ApplianceError) as error:
        return Tried(name, place_of(addressee), *_reason(error))
    return Tried(name, place_of(addressee))


def place_of(addressee: Mapping[str, Any]) -> str:
    """Where its messages go, without a token or a password."""
    if url := addressee.get("url"):
        return printable(str(url).partition("?")[0])
    if url := addressee.get("apprise"):
        return printable(f"{by_apprise.scheme(str(url))} by apprise".strip())
    to = ", ".join(map(str, addressee.get("to", ())))
    return printable(f"{to} by {addressee.get('host')}:{addressee.get('port')}")


def _reason(error: Exception) -> tuple[str, str]:
    match error:
        case ApplianceError():
            return printable(error.what), error.remedy or SETTINGS
        case smtplib.SMTPAuthenticationError():
            return f"the mail server refused user or password ({_said(error)}).", SETTINGS
        case smtplib.SMTPException():
            return f"the mail server refused it ({_said(error)}).", SETTINGS
        case ConnectionRefusedError() | TimeoutError():
            return f"the server does not answer ({_said(error)}).", DOWN
        case _:
            return f"it was not delivered ({_said(error)}).", SETTINGS


def _said(error: Exception) -> str:
    text = printable(str(getattr(error, "strerror", "") or error))
    return text if len(text) <= SAID_MAX else f"{text[:SAID_MAX]}..."
