"""A service leaves territory.yml, as it is typed: it is remembered, shown, cared for, and restored at its standby."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from appliance_lab.checkers.tree_record import compare, take
from tests.integration.cli.typed import SERVICE, Typed, begin

NODES = ("hermitage", "commune-a", "commune-b", "commune-c")


def sign(typed: Typed, change: Any, code: int = 0) -> Any:
    """Let `change` edit the services of territory.yml, sign that and hand it to every node; what signing said."""
    file = typed.desk / "territory.yml"
    plan = yaml.safe_load(file.read_text())
    change(plan["services"])
    file.write_text(yaml.safe_dump(plan, allow_unicode=True))
    recovery = ("--recovery", typed.paper.public)
    words = ("--key", "territory", "--previous", "bundle", *recovery, "--out", "bundle")
    said = typed.at_desk("territory", "sign", ".", *words, code=code)
    if code == 0:
        for name in NODES:
            typed(name, "node", "accept", str(typed.desk / "bundle"))
    return said


def test_a_service_that_left_is_shown_kept_and_restored_at_its_standby(typed: Typed, tmp_path: Path) -> None:
    begin(typed)
    typed("commune-a", "backup", "run", SERVICE)
    before = take(typed.documents, as_root=False)

    said = sign(typed, lambda services: services.pop(SERVICE))
    assert said["left"] == [SERVICE]
    assert [it["service"]["name"] for it in said["former"]["services"]] == [SERVICE]

    assert "left the territory in bundle 2" in typed("commune-a", "backup", "run", SERVICE, code=3)
    (listed,) = typed("commune-b", "vault", "list", SERVICE)["services"]
    assert (listed["generations"], listed["quota_bytes"]) == (1, None)
    assert listed["left"].startswith("left the territory in bundle 2; the last copy is deleted by 203")
    assert typed("commune-b", "vault", "prune")["services"][0]["dropped"] == []
    assert typed("commune-b", "vault", "scrub")["services"][0]["damage"] == []

    lost = next(path for path in sorted(typed.documents.rglob("*")) if path.is_file())
    content = lost.read_bytes()
    lost.unlink()
    typed("commune-a", "restore", "file", str(lost).lstrip("/"), "--service", SERVICE, "--in-place")
    assert lost.read_bytes() == content, "at its origin it is put back where it was"

    typed.nodes["commune-a"].wipe()
    typed("hermitage", "restore", "all", "--service", SERVICE, "--to", str(tmp_path / "standby"))
    typed.nodes["commune-b"].start_sshd()
    typed(
        "hermitage", "restore", "all", "--service", SERVICE, "--from", "peer:commune-b", "--to", str(tmp_path / "peer")
    )
    for place in ("standby", "peer"):
        brought = next((tmp_path / place).glob("**/" + typed.documents.name))
        assert [str(it) for it in compare(before, take(brought, as_root=False))] == []
    assert "does not trust commune-b" in typed("commune-b", "restore", "find", "a", "--service", SERVICE, code=8)


def test_a_renamed_service_keeps_its_history_under_both_names(typed: Typed, tmp_path: Path, operator_key: Path) -> None:
    begin(typed)
    typed("commune-a", "backup", "run", SERVICE)
    before = take(typed.documents, as_root=False)

    def rename(services: Any) -> None:
        services["papers"] = {**services.pop(SERVICE), "was": SERVICE}

    def rename_and_move(services: Any) -> None:
        rename(services)
        services["papers"]["node"] = "commune-c"

    plan = (typed.desk / "territory.yml").read_text()
    refused = sign(typed, rename_and_move, code=8)
    assert "renamed and moved from commune-a to commune-c in one step" in refused
    (typed.desk / "territory.yml").write_text(plan)
    said = sign(typed, rename)
    assert (said["moves"], said["left"]) == ([], [])

    ran = typed("commune-a", "backup", "run", "papers")
    assert (ran["generation"], ran["safety"]["safe"]) == ("2.2", True), "it goes on where it was"
    (listed,) = typed("commune-b", "vault", "list", "papers")["services"]
    assert (listed["service"], listed["label"], listed["generations"]) == (SERVICE, f"papers ({SERVICE})", 2)

    by = ("--operator", "maintenance", "--key", str(operator_key), "--reason", "audit", "--out", str(tmp_path / "act"))
    act = typed("hermitage", "act", "sign", "hold", "papers", *by, "--days", "9", "--dry-run")
    assert act["subject"] == SERVICE, "an act is signed for the name that its history has"

    sign(typed, lambda services: services["papers"].pop("was"))
    typed.nodes["commune-a"].wipe()
    for number, name in enumerate(("papers", SERVICE)):
        out = tmp_path / str(number)
        typed("hermitage", "restore", "all", "--service", name, "--to", str(out))
        brought = next(out.glob("**/" + typed.documents.name))
        assert [str(it) for it in compare(before, take(brought, as_root=False))] == []
