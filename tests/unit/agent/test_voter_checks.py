"""The doctor's report on grants that a voter's broker does not believe."""

from __future__ import annotations

import json
from pathlib import Path

from appliance.host.layout import NodeLayout
from appliance.voter.checks import CONFIRM, problems

WHY = "epoch 7 of docs-a is granted by other voters than the bundle declares."


def said(root: Path, **told: object) -> list[tuple[str, str, str]]:
    layout = NodeLayout(root)
    layout.voter_maintenance.mkdir(exist_ok=True)
    layout.voter.write_text("{}")
    (layout.voter_maintenance / "1970-01-01T00:16:00Z.snapshot").touch()
    care = {"format": 1, "looked": 1000.0, "leader": 1, "size_bytes": 0, "trouble": {}, **told}
    (layout.voter_maintenance / "care.json").write_text(json.dumps(care))
    return [(it.state, it.sentence, it.remedy) for it in problems(layout, 1000.0)]


def test_a_voter_that_does_not_believe_the_newest_grant_of_a_service_is_a_warning(tmp_path: Path) -> None:
    """The doctors of the voters were silent while a share could be granted to nobody."""
    sentence = f"its broker does not accept the newest grant of docs-a: {WHY}"
    assert said(tmp_path, unbelieved={"docs-a": WHY}) == [("warning", sentence, CONFIRM)]


def test_what_a_former_version_wrote_has_no_doubt_about_grants(tmp_path: Path) -> None:
    assert said(tmp_path) == []
