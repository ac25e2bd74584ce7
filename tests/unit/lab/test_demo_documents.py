"""Documents of the user's own that the demo cannot play are refused before anything starts, with what would do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from appliance.cli import main
from appliance.config.load import load
from appliance.territory.placement import place
from appliance_lab.demo.documents import DATA_BYTES_MAX
from tests.worlds.demo import INVENTORY


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("budget.txt", b"le budget primitif de la commune, chapitre 012\n", "16 letters or more"),
        ("budget primitif 2026.txt", b"budget\n" * 100, "32 bytes or more in a line"),
        ("budget primitif 2026.txt", b"", "nothing distinctive"),
    ],
)
def test_documents_in_which_nothing_could_be_found_are_refused_before_anything_starts(
    name: str, content: bytes, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / name).write_bytes(content)
    assert main.run(["demo", "--work", str(tmp_path / "work"), "--data", str(data)]) == 3
    assert why in capsys.readouterr().err
    assert not (tmp_path / "work").exists()


def test_more_documents_than_the_territory_has_room_for_are_refused_with_the_limit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open(tmp_path / "archives de la commune.tar", "wb") as file:
        file.truncate(DATA_BYTES_MAX + 1)
    assert main.run(["demo", "--work", str(tmp_path / "work"), "--data", str(tmp_path)]) == 3
    said = capsys.readouterr().err
    assert f"{tmp_path}: these are more than 1 GiB of documents" in said
    assert "\\n" not in said


def test_as_many_documents_as_are_allowed_find_their_places() -> None:
    plan = load(INVENTORY)
    service = replace(plan.service("docs-a"), size_bytes=DATA_BYTES_MAX, quota_bytes=4 * DATA_BYTES_MAX)
    assert place(replace(plan, services={"docs-a": service}))["docs-a"].spares == ("commune-c",)
