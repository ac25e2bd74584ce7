"""Deliver one notification: as JSON to a webhook, exactly as Alertmanager made it, or as a letter by e-mail.

An answer other than 2xx is no delivery, a redirection neither: a client that follows one asks for a page, which says
yes.
"""

from __future__ import annotations

import json
import smtplib
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from http import HTTPStatus
from typing import Any

from appliance.errors import Refused, UsageError
from appliance.host.network import http_call
from appliance.monitor.letter import Letter, write

SECONDS_MAX = 20.0


def send(addressee: Mapping[str, Any], notification: Mapping[str, Any]) -> None:
    """Raise OSError or ApplianceError unless `addressee` has taken it; IntegrityError where it makes no letter."""
    try:
        if "url" in addressee:
            _to_webhook(addressee, notification)
        else:
            _by_mail(addressee, write(notification))
    except (LookupError, TypeError, ValueError) as error:
        # A token that no header takes, say; what the error quotes may be a password.
        what = f"its settings cannot be used ({type(error).__name__})."
        raise UsageError(what, remedy="Look at monitoring_addressees.") from None


def _to_webhook(addressee: Mapping[str, Any], notification: Mapping[str, Any]) -> None:
    headers = {"Content-Type": "application/json"}
    if token := addressee.get("token"):
        headers["Authorization"] = f"Bearer {token}"
    body = json.dumps(notification).encode()
    url = addressee["url"]
    with http_call.call(url, seconds_max=SECONDS_MAX, bytes_max=0, method="POST", headers=headers, body=body) as answer:
        status = answer.status
    if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        raise Refused(f"it answered {status}.")


def _by_mail(addressee: Mapping[str, Any], letter: Letter) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = addressee["from"], ", ".join(addressee["to"]), letter.subject
    message.set_content(letter.text)
    with _server(addressee) as server:
        if addressee.get("user"):
            server.login(addressee["user"], addressee["password"])
        if refused := server.send_message(message):
            raise Refused(f"the mail server refused it for {', '.join(refused)}.")


def _server(addressee: Mapping[str, Any]) -> smtplib.SMTP:
    host, port, tls = addressee["host"], int(addressee["port"]), addressee.get("tls", "starttls")
    if tls == "implicit":
        return smtplib.SMTP_SSL(host, port, timeout=SECONDS_MAX, context=ssl.create_default_context())
    server = smtplib.SMTP(host, port, timeout=SECONDS_MAX)
    if tls == "starttls":
        server.starttls(context=ssl.create_default_context())
    elif addressee.get("user"):
        server.close()
        raise UsageError("a password must not be sent in clear.", remedy="Set tls: starttls or tls: implicit.")
    return server
