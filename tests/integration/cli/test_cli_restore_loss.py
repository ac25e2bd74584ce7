"""Typed after a loss: the standby brings a dead origin's data back; then, without any keyholder, the paper does."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from appliance.backup.writer import writer
from appliance.escrow.age import generate
from appliance_lab.checkers.tree_record import compare, take
from appliance_lab.processes.territory import ProcessTerritory
from tests.integration.cli.typed import answer_of, type_at

SERVICE = "docs-a"


def test_everything_comes_back_from_the_standby_and_then_from_a_blind_peer_with_the_paper(
    territory: ProcessTerritory, documents: Path, tmp_path: Path
) -> None:
    paper = generate()
    territory.recovery = paper.public
    territory.sign()
    (documents / "budget.ods").write_text("the budget")
    writer.run(territory.open("commune-a"), SERVICE)
    before = take(documents, as_root=False)
    path = str(documents / "budget.ods").lstrip("/")

    def whole(answer: Any) -> list[str]:
        assert answer["warnings"] == []
        return [str(it) for it in compare(before, take(Path(f"{answer['restored']}{documents}"), as_root=False))]

    # The origin is dead. The standby opens what it holds, in a folder and in place, and takes the latter back.
    territory.nodes["commune-a"].wipe()
    everything = type_at(territory, "hermitage", "restore", "all", "--to", str(tmp_path / "standby"))
    assert (whole(everything), everything["source"]["place"]) == ([], "hermitage")
    (documents / "budget.ods").write_text("another budget")
    done = type_at(territory, "hermitage", "restore", "file", path, "--in-place")
    assert (documents / "budget.ods").read_text() == "the budget"
    assert type_at(territory, "hermitage", "restore", "undo", done["job"])["state"] == "undone"
    assert (documents / "budget.ods").read_text() == "another budget"

    # The standby is dead, too. A new machine has no envelope that it can open; what a blind peer holds the paper opens.
    territory.nodes["hermitage"].wipe()
    territory.add_node("commune-a")
    territory.sign(to=["commune-a", "commune-b", "commune-c"])
    shutil.rmtree(documents)
    typed_key = paper.secret.reveal()

    def with_paper(*words: str, code: int = 0, key: bytes = typed_key) -> Any:
        words = ("--json", "restore", *words, "--from", "peer:commune-b", "--recovery-sheet")
        return answer_of(territory.nodes["commune-a"].cli(*words, stdin=key, check=False), code)

    refused = type_at(territory, "commune-a", "restore", "find", "budget", "--from", "peer:commune-b", code=8)
    assert "add --recovery-sheet" in refused
    with_paper("find", "budget", key=typed_key[:-1], code=2)
    found = with_paper("find", "budget")
    assert (found["found"][0]["path"], found["sources"][SERVICE]["place"]) == (path, "commune-b")
    assert whole(with_paper("all", "--to", str(tmp_path / "paper"))) == []
    folder = with_paper("folder", str(documents), "--in-place")
    assert [str(it) for it in compare(before, take(documents, as_root=False))] == []
    assert type_at(territory, "commune-a", "restore", "undo", folder["job"])["state"] == "undone"
    assert not documents.exists()
    assert [it["state"] for it in type_at(territory, "commune-a", "restore", "jobs")["jobs"]] == ["done", "undone"]
