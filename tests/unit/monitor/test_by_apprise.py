"""The outcome of a letter by apprise, said in our words alone: those of apprise may quote the URL, a secret."""

from __future__ import annotations

import importlib

import pytest

from appliance.cli.monitor.trial import place_of
from appliance.errors import Refused, Unreachable, UsageError
from appliance.monitor.sending import apprise_worker, by_apprise


@pytest.mark.parametrize(
    ("messages", "outcome"),
    [
        (("Failed to send JSON POST notification: Unauthorized - Invalid Token., error=401.",), "answered 401"),
        (("A Connection error occurred sending JSON notification to x.fr.",), "silent"),
        (('Connection error while submitting email to "x.fr"',), "silent"),
        (("Failed to send to tgram://token: error=12345",), "failed"),
        ((), "failed"),
    ],
)
def test_of_the_messages_only_a_status_or_a_kind_of_failure_is_kept(messages: tuple[str, ...], outcome: str) -> None:
    assert apprise_worker.outcome_of(messages) == outcome


@pytest.mark.parametrize(
    ("answer", "kind", "what"),
    [
        (b"missing\n", UsageError, "apprise is not installed on this node."),
        (b"unusable\n", UsageError, "apprise cannot use its URL."),
        (b"answered 401\n", Refused, "apprise: its service answered 401."),
        (b"silent\n", Unreachable, "apprise: its service does not answer."),
        (b"failed\n", Refused, "apprise did not deliver it, and gives no reason that can be shown."),
        (b"", Refused, "apprise did not deliver it, and gives no reason that can be shown."),
        (b"tgram://token\xff", Refused, "apprise did not deliver it, and gives no reason that can be shown."),
    ],
)
def test_each_answer_that_is_no_delivery_is_one_sentence(answer: bytes, kind: type[Exception], what: str) -> None:
    error = by_apprise.read_outcome(answer)
    assert error is not None
    assert (type(error), error.what) == (kind, what)


def test_a_letter_that_was_taken_is_no_error() -> None:
    assert by_apprise.read_outcome(b"taken\n") is None


def test_where_apprise_is_not_installed_the_remedy_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    error = by_apprise.read_outcome(apprise_worker.deliver("json://x/", "s", "t").encode())
    assert error is not None
    assert "apt-get install apprise" in error.remedy


def test_the_place_of_an_apprise_url_is_the_kind_of_its_service_alone() -> None:
    assert place_of({"apprise": "tgram://bot-token/chat"}) == "tgram by apprise"
    assert place_of({"apprise": "bot-token"}) == "by apprise"
