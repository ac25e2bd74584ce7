"""Deliver one notification: as JSON to a webhook, exactly as Alertmanager made it, or as a letter by e-mail.

An answer other than 2xx is no delivery, a redirection neither: whoever follows one asks for a page, which says yes.
"""

from __future__ import annotations

import http.client
import json
import smtplib
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlsplit

from appliance.errors import Refused, UsageError
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
    address = urlsplit(addressee["url"])
    secure = address.scheme == "https"
    made = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    line = made(address.hostname or "", address.port, timeout=SECONDS_MAX)
    headers = {"Content-Type": "application/json"}
    if token := addressee.get("token"):
        headers["Authorization"] = f"Bearer {token}"
    path = address.path or "/"
    try:
        line.request("POST", f"{path}?{address.query}" if address.query else path, json.dumps(notification), headers)
        status = line.getresponse().status
    except http.client.HTTPException as error:
        raise OSError(f"not a valid HTTP answer: {error!r}") from error
    finally:
        line.close()
    if not http.client.OK <= status < http.client.MULTIPLE_CHOICES:
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
