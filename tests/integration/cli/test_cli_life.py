"""The whole life of a service as it is typed: joined, begun, backed up, searched, lost, brought back and continued."""

from __future__ import annotations

import os
from pathlib import Path

from appliance_lab.checkers.tree_record import compare, take
from appliance_lab.corpus import change
from tests.integration.cli.typed import SERVICE, Typed, begin


def test_a_service_is_joined_backed_up_lost_found_and_continued(typed: Typed, tmp_path: Path) -> None:
    begin(typed)

    first = typed("commune-a", "backup", "run", SERVICE)
    assert first["generation"] == "2.1"
    assert first["left_out"] == [] == first["failures"]
    assert {peer["peer"] for peer in first["peers"] if peer["receipt"]} == {"hermitage", "commune-b"}
    assert first["safety"] == {
        "safe": True,
        "counted": ["commune-b", "hermitage"],
        "acknowledged": ["commune-b", "hermitage"],
        "promised": 2,
        "held": True,
        "whole": True,
    }
    change(typed.documents, 0.02)
    second = typed("commune-a", "backup", "run", SERVICE)
    assert second["generation"] == "2.2"
    assert 0 < second["new_bytes"] < first["new_bytes"]
    shown = typed("commune-a", "backup", "show", SERVICE)
    assert (shown["generation"], {it["peer"] for it in shown["receipts"]}) == ("2.2", {"hermitage", "commune-b"})
    assert len(typed("commune-a", "backup", "list", SERVICE)["archives"]) == 2
    held = typed("hermitage", "vault", "show", SERVICE)
    assert [(it["epoch"], it["sequence"], it["held"]) for it in held["generations"]] == [(2, 1, True), (2, 2, True)]
    assert all(it["received"] and it["bytes"] for it in held["generations"])

    # The machine burns; the standby brings one file back, found by a part of its name.
    before = take(typed.documents, as_root=False)
    typed.nodes["commune-a"].wipe()
    name = max((path for path, entry in before.entries.items() if entry.kind == "file"), key=lambda it: len(it))
    archived = str(typed.documents / name).lstrip("/")
    found = typed("hermitage", "restore", "find", os.path.basename(name)[:14])
    assert archived in [it["path"] for it in found["found"]]
    assert found["sources"][SERVICE]["place"] == "hermitage"
    one = typed("hermitage", "restore", "file", archived, "--to", str(tmp_path / "one"))
    assert Path(one["restored"]).read_bytes() == (typed.documents / name).read_bytes()

    # The standby is gone too; a new machine opens what a blind peer holds with the paper, and goes on.
    typed.nodes["hermitage"].wipe()
    typed.join("commune-a")
    for node in ("commune-a", "commune-b", "commune-c"):
        assert typed(node, "node", "accept", str(typed.desk / "bundle"))["serial"] == 2
    typed.nodes["commune-a"].start_sshd()
    request = typed.desk / "again.request"
    asked = typed("commune-a", "backup", "resync", SERVICE, "--request", str(request), "--reason", "fire", code=1)
    assert (asked["generation"], asked["newest"]) == ("2.2", "2.2")
    assert list(asked["silent"]) == ["hermitage"]
    grant = str(typed.grant(request))
    refused = typed("commune-a", "backup", "resync", SERVICE, "--grant", grant, code=8)
    assert "add --recovery-sheet" in refused
    paper = typed.paper.secret.reveal()
    typed("commune-a", "backup", "resync", SERVICE, "--grant", grant, "--recovery-sheet", stdin=paper[:-1], code=2)
    continued = typed("commune-a", "backup", "resync", SERVICE, "--grant", grant, "--recovery-sheet", stdin=paper)
    assert (continued["generation"], continued["epoch"], continued["writer"]) == ("2.2", 4, "commune-a")

    everything = typed("commune-a", "restore", "all", "--to", str(tmp_path / "all"))
    assert everything["warnings"] == []
    after = take(Path(f"{everything['restored']}{typed.documents}"), as_root=False)
    assert [str(difference) for difference in compare(before, after)] == []
    third = typed("commune-a", "backup", "run", SERVICE, code=1)
    assert (third["generation"], third["safety"]["counted"]) == ("4.1", ["commune-b"])
    listing = next((typed.nodes["commune-a"].layout.service(SERVICE).chain).glob("00004.*/list")).read_text()
    assert "  envelopes/recovery.age" in listing, "the next loss could not be opened with the paper"
    sent = next(peer["bytes_sent"] for peer in third["peers"] if peer["receipt"])
    assert sent < first["generation_bytes"] / 2, "it did not continue the same repository"
