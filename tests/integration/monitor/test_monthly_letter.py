"""The test message of each month, by a real Alertmanager with the role's configuration, the queue and addressees."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from appliance_lab.processes.catcher import Catcher
from appliance_lab.processes.node import free_ports
from tests.integration.monitor.sites import ALERTMANAGER, ROSTER
from tests.integration.monitor.typed_letter import typed
from tests.waiting import wait_until
from tests.worlds.alertmanager import alertmanager, is_ready
from tests.worlds.outbox import served_queue

needs_alertmanager = pytest.mark.skipif(not ALERTMANAGER.exists(), reason="Debian's Alertmanager is not there")


def settings_of(address: str, **urls: str) -> dict[str, Any]:
    return {
        "receivers": {it: list(urls) for it in ("regie", "astreinte", "recapitulatif", "essai")},
        "addressees": {name: {"url": url} for name, url in urls.items()},
        "alertmanagers": {"urls": [address], "tls": ""},
    }


def trials(queue: str) -> dict[str, float]:
    with urllib.request.urlopen(f"{queue}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    found = [it.rpartition(" ") for it in lines if it.startswith("appliance_outbox_trial_timestamp_seconds{")]
    return {name.split('"')[1]: float(value) for name, _, value in found}


@needs_alertmanager
@pytest.mark.parametrize("roster", [None, ROSTER], ids=["everybody", "roster"])
def test_each_addressee_gets_each_one_and_one_who_refuses_keeps_the_time_of_the_last(
    roster: dict[str, Any] | None, tmp_path: Path
) -> None:
    [port] = free_ports("127.0.0.1", 1)
    address = f"http://127.0.0.1:{port}"
    with Catcher() as chat, Catcher(refuse_with=500) as mail:
        settings = settings_of(address, chat=chat.url, mail=mail.url)
        with (
            served_queue(settings, tmp_path / "queue") as queue,
            alertmanager(tmp_path, f"{queue}/", roster, port=port),
        ):
            wait_until(lambda: is_ready(address), "Alertmanager is there")
            before = trials(queue)
            for count in (1, 2):
                result = typed(tmp_path, settings, "--by-alertmanager")
                assert result.exit_code == 0, result.tail()
                wait_until(lambda count=count: len(chat.caught) == count, "the letter is there")  # type: ignore[misc]
            wait_until(lambda: trials(queue)["chat"] > before["chat"], "it is noted")
            assert trials(queue)["mail"] == before["mail"]
    assert json.loads(result.stdout)["addressees"] == ["chat", "mail"]
    assert {it["receiver"] for it in chat.caught} == {"essai"}


@pytest.mark.parametrize(
    ("alertmanagers", "words", "code", "say"),
    [
        (True, (), 7, "Alertmanager does not take it: http://127.0.0.1:"),
        (False, (), 2, "the settings of the queue name no Alertmanager"),
        (True, ("--to", "chat"), 2, "Alertmanager sends it to everybody."),
    ],
)
def test_where_it_cannot_leave_is_one_sentence(
    alertmanagers: bool, words: tuple[str, ...], code: int, say: str, tmp_path: Path
) -> None:
    [port] = free_ports("127.0.0.1", 1)
    settings = settings_of(f"http://127.0.0.1:{port}", chat="http://127.0.0.1:9/")
    if not alertmanagers:
        del settings["alertmanagers"]
    result = typed(tmp_path, settings, "--by-alertmanager", *words)
    assert (result.exit_code, say in result.tail()) == (code, True), result.tail()
    assert len(result.stderr.decode().splitlines()) == 1
