"""`appliance vault` and `appliance act` on real holdings: handed on only after an act, found rotten, mended."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance.backup.vault.replicas import replica_of
from appliance.backup.writer import writer
from appliance_lab.processes.territory import ProcessTerritory
from tests.integration.cli.typed import SERVICE, type_at


@pytest.fixture
def held(territory: ProcessTerritory) -> ProcessTerritory:
    """docs-a is held by hermitage and commune-b; commune-c is the spare and holds nothing."""
    writer.run(territory.open("commune-a"), SERVICE)
    return territory


def test_a_spare_takes_copies_only_after_a_signed_act(
    held: ProcessTerritory, operator_key: Path, tmp_path: Path
) -> None:
    words = ("vault", "replicate", SERVICE, "--to", "commune-c")
    (lacking,) = type_at(held, "commune-b", *words, "--dry-run")["lacking"]
    assert "only a spare" in type_at(held, "commune-b", *words, code=8)
    act = str(tmp_path / "lost.act")
    sign = (
        "act",
        "sign",
        "lost",
        "hermitage",
        "--reason",
        "fire\x1b[2J",
        "--operator",
        "maintenance",
        "--out",
        act,
    )
    type_at(held, "commune-b", *sign, "--key", str(operator_key), "--dry-run")
    assert not os.path.exists(act)
    assert type_at(held, "commune-b", *sign, "--key", str(operator_key), "--days", "2")["written"]
    assert type_at(held, "commune-b", "act", "accept", act, "--dry-run")["in_force"]
    assert type_at(held, "commune-b", "act", "list")["acts"] == []
    assert type_at(held, "commune-b", "act", "accept", act)["subject"] == "hermitage"
    (known,) = type_at(held, "commune-b", "act", "list")["acts"]
    assert (known["act"], known["operator"], known["in_force"]) == ("lost", "maintenance", True)
    assert b"\x1b" not in held.nodes["commune-b"].cli("act", "list").stdout
    done = type_at(held, "commune-b", *words)
    assert (done["peer"], done["taken"]) == ("commune-c", [lacking])
    assert done["bytes_sent"] > 0
    (service,) = type_at(held, "commune-c", "vault", "list")["services"]
    assert (service["service"], service["generations"], service["newest"]) == (SERVICE, 1, "2.1")
    assert 0 < service["used_bytes"] < service["quota_bytes"]


def test_an_act_of_somebody_who_may_not_sign_it_is_refused(held: ProcessTerritory, tmp_path: Path) -> None:
    act = str(tmp_path / "lost.act")
    outsider = held.nodes["commune-c"].layout.keys / "ssh_ed25519"
    sign = ("act", "sign", "lost", "hermitage", "--reason", "none", "--key", str(outsider), "--out", act)
    type_at(held, "commune-c", *sign, "--operator", "maintenance")
    assert "not signed by a key of maintenance" in type_at(held, "commune-b", "act", "accept", act, code=5)
    assert "These persons may: maintenance" in type_at(held, "commune-c", *sign, "--operator", "nobody", code=8)


def test_what_rots_is_found_and_mended_from_another_holder(held: ProcessTerritory) -> None:
    clean = type_at(held, "hermitage", "vault", "scrub")["services"]
    assert [(it["service"], it["damage"]) for it in clean] == [(SERVICE, [])]
    blob = max(replica_of(held.open("hermitage"), SERVICE).blobs(), key=lambda path: path.stat().st_size)
    blob.chmod(0o640)
    with open(blob, "r+b") as file:
        file.seek(100)
        file.write(b"rot")
    (planned,) = type_at(held, "hermitage", "vault", "scrub", SERVICE, "--dry-run")["services"]
    assert (planned["generations"], planned["damage"], planned["blobs"]) == (1, [], clean[0]["blobs"])
    assert blob.exists()
    (found,) = type_at(held, "hermitage", "vault", "scrub", SERVICE, code=1)["services"]
    assert [(it["kind"], it["name"]) for it in found["damage"]] == [("rotten", blob.name)]
    (generation,) = type_at(held, "hermitage", "vault", "show", SERVICE)["generations"]
    shown = held.nodes["hermitage"].cli("vault", "show", SERVICE).stdout.decode()
    assert f"  {generation['name']}\n" in shown, "as an act has to name it"
    assert (generation["held"], generation["state"]) == (False, "damaged")
    (waiting,) = type_at(held, "hermitage", "vault", "repair", "--dry-run", code=1)["services"]
    assert len(waiting["left"]) == 1
    (mended,) = type_at(held, "hermitage", "vault", "repair")["services"]
    assert ([it["name"] for it in mended["mended"]], mended["left"]) == ([blob.name], [])
    assert type_at(held, "hermitage", "vault", "show", SERVICE)["generations"][0]["held"]


def test_nothing_young_is_thinned(held: ProcessTerritory) -> None:
    for words in (("vault", "prune", "--dry-run"), ("vault", "prune", SERVICE)):
        (found,) = type_at(held, "hermitage", *words)["services"]
        assert (found["service"], found["dropped"], found["files_removed"]) == (SERVICE, [], 0)
