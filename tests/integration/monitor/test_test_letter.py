"""`appliance monitor test-letter`, typed: what arrived, what did not and why, and where there is nobody to tell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from appliance_lab.processes.catcher import Catcher
from appliance_lab.processes.node import free_ports
from tests.integration.monitor.typed_letter import typed


def test_one_that_is_down_is_named_and_the_other_has_its_message(tmp_path: Path) -> None:
    (port,) = free_ports("127.0.0.1", 1)
    with Catcher() as catcher:
        addressees = {
            "sms": {"url": catcher.url},
            "mail": {"host": "127.0.0.1", "port": port, "tls": "none", "from": "a@x.fr", "to": ["b@x.fr"]},
        }
        result = typed(tmp_path, {"receivers": {}, "addressees": addressees})
        only = typed(tmp_path, {"receivers": {}, "addressees": addressees}, "--to", "sms")
    assert (result.exit_code, only.exit_code) == (1, 0), result.tail()
    mail, sms = json.loads(result.stdout)["tried"]
    assert (mail["to"], mail["why"]) == ("mail", "the server does not answer (Connection refused).")
    assert "wait in the queue" in mail["remedy"]
    assert (sms["to"], sms["why"]) == ("sms", "")
    assert len(catcher.caught) == 2


@pytest.mark.parametrize(
    ("settings", "words", "code", "say"),
    [
        ({"receivers": {}, "addressees": {}}, (), 3, "no alert would reach anybody"),
        ({"receivers": {}, "addressees": {"mail": {}}}, ("--to", "fax"), 2, 'no addressee "fax"; known: mail'),
        ("cut sho", (), 2, "this is not a file of addressees"),
    ],
)
def test_nothing_to_try_is_one_sentence(
    settings: dict[str, Any] | str, words: tuple[str, ...], code: int, say: str, tmp_path: Path
) -> None:
    result = typed(tmp_path, settings, *words)
    assert (result.exit_code, say in result.tail()) == (code, True), result.tail()
    assert len(result.stderr.decode().splitlines()) == 1
