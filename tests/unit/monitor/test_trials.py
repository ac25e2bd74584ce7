"""When each addressee last took a test message that came the whole way of an alert."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.cli.monitor.trial import trial_alert, trial_message
from appliance.errors import UsageError
from appliance.monitor.duty.alertmanager import read_alertmanagers
from appliance.monitor.sending.trials import FILE, Trials, is_trial, own_alertmanager
from tests.unit.monitor.notifications import notification

NOW = "2026-12-01T09:00:00Z"


def test_a_new_addressee_counts_from_now_a_known_one_from_its_letter_and_a_former_one_is_forgotten(
    tmp_path: Path,
) -> None:
    Trials(tmp_path, ("mail", "fax"), 100.0).taken("mail", 150.0)
    again = Trials(tmp_path, ("mail", "chat"), 200.0)
    assert again.times() == {"mail": 150.0, "chat": 200.0}
    assert Trials(tmp_path, ("mail", "chat"), 300.0).times() == again.times()


@pytest.mark.parametrize("content", ["half", "[1]", '{"mail": "soon"}', "null"])
def test_what_cannot_be_read_counts_from_now(content: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(content)
    assert Trials(tmp_path, ("mail",), 200.0).times() == {"mail": 200.0}


def test_only_a_test_message_is_one() -> None:
    assert is_trial(trial_message("hermitage", NOW))
    assert not is_trial(notification(("firing", "critical", "docs")))
    assert not is_trial({"alerts": []})


def test_each_is_another_alert_so_that_none_is_held_back_as_told_already() -> None:
    first, second = (trial_alert("hermitage", now, 600.0) for now in (1.0, 1.001))
    assert first["labels"] != second["labels"]
    assert first["labels"]["severity"] == "test"


def test_it_goes_to_the_alertmanager_of_this_node_alone() -> None:
    settings = {"alertmanagers": {"urls": ["http://own", "http://other"], "tls": "/x"}}
    assert read_alertmanagers(own_alertmanager(settings)).urls == ("http://own",)
    assert read_alertmanagers(own_alertmanager(settings)).tls == "/x"
    with pytest.raises(UsageError, match="name no Alertmanager"):
        own_alertmanager({})
