"""Deliver one notification: as JSON to a webhook, exactly as Alertmanager made it, or as a letter by e-mail or apprise.

An answer other than 2xx is no delivery, a redirection neither: a client that follows one asks for a page, which says
yes. All end in time, however slowly the other side answers: a turn of the queue ends.
"""

from __future__ import annotations

import json
import smtplib
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from http import HTTPStatus
from typing import Any, cast

from appliance.errors import Refused, UsageError
from appliance.host.network import http_call
from appliance.host.network.bounded_socket import BoundedSocket
from appliance.monitor.duty.addressed import CALLED
from appliance.monitor.letter import Letter, write
from appliance.monitor.sending import by_apprise

SECONDS_MAX = 20.0
"""For the whole call of a webhook, and for each answer of a mail server, which greets late and looks for spam."""
MAIL_SECONDS_MAX = 60.0
MAIL_BYTES_MAX = 256 * 1024


def send(addressee: Mapping[str, Any], notification: Mapping[str, Any]) -> None:
    """Raise OSError or ApplianceError unless `addressee` has taken it; IntegrityError where it makes no letter."""
    try:
        if "url" in addressee:
            _to_webhook(addressee, notification)
        elif "apprise" in addressee:
            by_apprise.give(addressee["apprise"], write(notification))
        else:
            _by_mail(addressee, write(notification))
    except ssl.SSLError:  # a wrong certificate is a ValueError, too
        raise
    except (LookupError, TypeError, ValueError) as error:
        # A token that no header takes, say; what the error quotes may be a password.
        what = f"its settings cannot be used ({type(error).__name__})."
        raise UsageError(what, remedy="Look at monitoring_addressees.") from None


def _to_webhook(addressee: Mapping[str, Any], notification: Mapping[str, Any]) -> None:
    headers = {"Content-Type": "application/json"}
    if token := addressee.get("token"):
        headers["Authorization"] = f"Bearer {token}"
    body = json.dumps({name: value for name, value in notification.items() if name != CALLED}).encode()
    url = addressee["url"]
    with http_call.call(url, seconds_max=SECONDS_MAX, bytes_max=0, method="POST", headers=headers, body=body) as answer:
        status = answer.status
    if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        raise Refused(f"it answered {status}.")


def _by_mail(addressee: Mapping[str, Any], letter: Letter) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = addressee["from"], ", ".join(addressee["to"]), letter.subject
    message.set_content(letter.text)
    line = BoundedSocket(MAIL_BYTES_MAX, OSError(f"it says more than {MAIL_BYTES_MAX} bytes"))
    line.allow(MAIL_SECONDS_MAX, silence_seconds_max=SECONDS_MAX)
    try:
        with _server(addressee, line) as server:
            if addressee.get("user"):
                server.login(addressee["user"], addressee["password"])
            if refused := server.send_message(message):
                raise Refused(f"the mail server refused it for {', '.join(refused)}.")
    finally:
        line.shut()


def _server(addressee: Mapping[str, Any], line: BoundedSocket) -> smtplib.SMTP:
    tls = addressee.get("tls", "starttls")
    if addressee.get("user") and tls not in ("starttls", "implicit"):
        raise UsageError("a password must not be sent in clear.", remedy="Set tls: starttls or tls: implicit.")
    encryption = _Encryption(line, ssl.create_default_context())
    server = _MailServer(addressee["host"], int(addressee["port"]), line, encryption if tls == "implicit" else None)
    if tls == "starttls":
        server.starttls(context=cast("ssl.SSLContext", encryption))
    return server


@dataclass(frozen=True)
class _Encryption:
    """As much of an SSLContext as smtplib uses: it encrypts `line` in place."""

    line: BoundedSocket
    tls: ssl.SSLContext

    def wrap_socket(self, line: object, server_hostname: str) -> socket.socket:
        self.line.encrypt(self.tls, server_hostname)
        return cast("socket.socket", self.line)


class _MailServer(smtplib.SMTP):
    """Speaks through `line`, which ends in time: smtplib's own timeout starts again with each byte."""

    def __init__(self, host: str, port: int, line: BoundedSocket, encryption: _Encryption | None) -> None:
        self._line, self._encryption = line, encryption
        super().__init__(host, port)

    def _get_socket(self, host: str, port: int, timeout: object) -> socket.socket:
        self._line.connect(host, port)
        return self._encryption.wrap_socket(self._line, host) if self._encryption else cast("socket.socket", self._line)
