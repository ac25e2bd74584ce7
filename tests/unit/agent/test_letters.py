"""Whether the node says who does not take its alerts; the queue is a fake, the real one is asked in
tests/integration/monitor/test_outbox_server.py."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from appliance.agent import letters
from appliance.errors import Unreachable

NOW = 1_800_000_000.0


def answer(waiting: Mapping[str, float]) -> Any:
    return lambda: {"waiting": waiting}


def nobody() -> Mapping[str, Any]:
    raise Unreachable("the queue of alerts does not answer on this machine.")


@pytest.fixture
def sends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    link = tmp_path / "appliance-outbox.service"
    monkeypatch.setattr(letters, "SENDS", link)
    return link


def test_who_took_nothing_for_a_quarter_of_an_hour_is_named_and_nobody_else(sends: Path) -> None:
    sends.symlink_to("/usr/lib/systemd/system/appliance-outbox.service")
    told = list(letters.letter_reasons(NOW, answer({"mail": NOW - 3600, "sms": NOW - 60})))
    assert [(it.state, it.check) for it in told] == [("warning", "letters")]
    assert told[0].sentence == "mail does not take its alerts: one has waited for 1 h."


def test_a_queue_that_does_not_answer_is_told_where_alerts_are_sent_from(sends: Path) -> None:
    assert list(letters.letter_reasons(NOW, nobody)) == [], "this node sends none"
    sends.symlink_to("/usr/lib/systemd/system/appliance-outbox.service")
    assert list(letters.letter_reasons(NOW, nobody)) == [letters.SILENT]
