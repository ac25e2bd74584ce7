"""A notification of Alertmanager as a person reads it: French, one letter for a failure and one for its end. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from appliance.errors import IntegrityError

SUBJECT_LENGTH_MAX = 150
MARKS_MAX = 5
"""A line that names more alerts than that is hard to copy: it names all of the kind."""
FIRING = "firing"
TRIAL = "test"
"""The severity of a message that says nothing but that messages arrive."""
TAKEN = "acknowledged"
"""The severity of a message that says who takes care of an alert."""
BESIDE_PROMETHEUS = "/user/"
RUNBOOKS = "/territoire/fiches/"
"""Where the pages of a monitoring node show runbooks to the maintenance team."""


@dataclass(frozen=True)
class Letter:
    subject: str
    text: str


def write(notification: Mapping[str, Any]) -> Letter:
    """`notification` is what Alertmanager posts to a webhook (its format 4); raise IntegrityError for what is not."""
    try:
        return _write(notification)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise IntegrityError(f"this is not a notification of Alertmanager: {type(error).__name__}, {error}.") from error


def _write(notification: Mapping[str, Any]) -> Letter:
    alerts = notification["alerts"]
    urgent = any(it["status"] == FIRING and it["labels"].get("severity") == "critical" for it in alerts)
    word = "Fin" if notification["status"] != FIRING else "URGENT" if urgent else _word(alerts)
    first = alerts[0]["annotations"].get("summary", alerts[0]["labels"]["alertname"])
    more = f" (et {len(alerts) - 1} de plus)" if len(alerts) > 1 else ""
    subject = " ".join(f"[{word}] {first}{more}".split())[:SUBJECT_LENGTH_MAX]
    paragraphs = ["\n".join(_paragraph(it)) for it in alerts]
    if called := notification.get("called"):
        paragraphs.append("\n".join(_called(called, ended=notification["status"] != FIRING)))
    text = "\n\n".join(paragraphs) + "\n"
    subject.encode()
    text.encode()
    return Letter(subject, text)


def _word(alerts: Collection[Mapping[str, Any]]) -> str:
    """The first word of the subject of a message that is not urgent."""
    severities = {it["labels"].get("severity") for it in alerts}
    return {TRIAL: "Essai", TAKEN: "Suivi"}.get(severities.pop(), "Alerte") if len(severities) == 1 else "Alerte"


def _paragraph(alert: Mapping[str, Any]) -> Iterator[str]:
    told = alert["annotations"]
    ended = alert["status"] != FIRING
    yield f"{'FIN : ' if ended else ''}{told.get('summary', alert['labels']['alertname'])}"
    yield f"{alert['labels']['alertname']}, depuis {alert['startsAt']}" + (f", fini {alert['endsAt']}" if ended else "")
    if not ended:
        yield told.get("description", "")
        if alert["labels"].get("severity") != TAKEN:
            yield f"Que faire : {_page(told.get('runbook_url', ''))}"


def _called(called: Mapping[str, Any], *, ended: bool) -> Iterator[str]:
    """Lines that name the person this letter is for, and say when the next one is called."""
    week = str(called["week"]).partition("-W")[2].lstrip("0")
    if again := called.get("again"):
        hours = again["hours"]
        yield f"{again['by']} s'occupait de l'alerte depuis {again['since']} ; elle dure encore après {hours} h."
    if called["everybody"]:
        yield f"Personne n'est d'astreinte en semaine {week} : tout le tour d'astreinte reçoit ce message."
    elif called["waited_minutes"] and not ended:
        yield f"Pour {called['person']} : l'alerte dure depuis plus de {called['waited_minutes']} min."
    else:
        yield f"Pour {called['person']}" + (f", d'astreinte en semaine {week}." if called["on_duty"] else ".")
    if called["next_minutes"] and not ended:
        unless = ", sauf si quelqu'un dit qu'il s'en occupe" if called.get("link") or called.get("marks") else ""
        yield f"Dans {called['next_minutes']} min, la personne suivante est appelée si l'alerte dure encore{unless}."
    if not ended:
        yield from _acknowledging(called)


def _acknowledging(called: Mapping[str, Any]) -> Iterator[str]:
    """Lines that say how to take care of it: by the page, and by the command where there is none or it is away."""
    if link := called.get("link"):
        yield f"Je m'en occupe : {link}"
    if marks := called.get("marks"):
        words = " ".join(marks) if len(marks) <= MARKS_MAX else called["alert"]
        typed = f"appliance monitor acknowledge {words} --operator {called['name']} --key CLEF"
        yield f"Ou, sur un serveur de surveillance : {typed}"


def _page(runbook: str) -> str:
    """The page for people: the one beside Prometheus opens to a monitoring node's certificate alone."""
    address = urlsplit(runbook)
    if not address.path.startswith(BESIDE_PROMETHEUS):
        return runbook
    return f"https://{address.hostname}{RUNBOOKS}{address.path.removeprefix(BESIDE_PROMETHEUS).removesuffix('.md')}"
