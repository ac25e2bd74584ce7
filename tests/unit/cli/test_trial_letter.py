"""A message that shows whether messages arrive: a failure is told with its reason, and holds up no other addressee."""

from __future__ import annotations

import smtplib
from collections.abc import Mapping
from typing import Any

import pytest

from appliance.cli.monitor.trial import DOWN, SETTINGS, place_of, trial_message, try_each
from appliance.errors import Refused
from appliance.monitor.letter import write

MAIL = {"host": "smtp.x.fr", "port": 587, "to": ["a@x.fr", "b@x.fr"], "user": "u", "password": "secret"}
HOOK = {"url": "https://sms.x.fr/hook?key=secret", "token": "secret"}
MESSAGE = trial_message("hermitage", "2026-12-02T08:00:00Z")


def test_it_makes_a_letter_that_nobody_takes_for_an_alarm() -> None:
    letter = write(MESSAGE)
    assert letter.subject == "[Essai] Lettre d'essai de hermitage"
    assert "Rien n'est en panne." in letter.text


def test_each_is_told_apart_and_one_that_fails_holds_up_no_other_one() -> None:
    def send(addressee: Mapping[str, Any], message: Mapping[str, Any]) -> None:
        assert message is MESSAGE
        if addressee is MAIL:
            raise ConnectionRefusedError(111, "Connection refused")

    mail, sms = try_each({"sms": HOOK, "mail": MAIL}, ("mail", "sms"), MESSAGE, send)
    assert (mail.to, mail.why) == ("mail", "the server does not answer (Connection refused).")
    assert mail.remedy == DOWN
    assert (sms.to, sms.why) == ("sms", "")


@pytest.mark.parametrize(
    ("error", "why", "remedy"),
    [
        (smtplib.SMTPAuthenticationError(535, b"no"), "the mail server refused user or password", SETTINGS),
        (smtplib.SMTPServerDisconnected("bye"), "the mail server refused it (bye).", SETTINGS),
        (Refused("it answered 500."), "it answered 500.", SETTINGS),
        (Refused("in clear.", remedy="Set tls: starttls."), "in clear.", "Set tls: starttls."),
        (TimeoutError("timed out"), "the server does not answer (timed out).", DOWN),
        (OSError("\x1b[2J" + "x" * 500), "it was not delivered (", SETTINGS),
    ],
)
def test_the_reason_is_one_sentence_with_what_to_do(error: Exception, why: str, remedy: str) -> None:
    def send(_: object, __: object) -> None:
        raise error

    (tried,) = try_each({"it": MAIL}, ("it",), MESSAGE, send)
    assert tried.why.startswith(why)
    assert tried.remedy == remedy
    assert tried.why.isprintable()
    assert len(tried.why) < 300


def test_the_place_shows_no_password_and_no_token() -> None:
    assert place_of(MAIL) == "a@x.fr, b@x.fr by smtp.x.fr:587"
    assert place_of(HOOK) == "https://sms.x.fr/hook"
