"""A machine in the place of a dead one gets everything back: with a standby left nobody types the paper, else once."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

from appliance.backup.writer import writer
from appliance.backup.writer.begin import begin, take_first_grant
from appliance.escrow.age import generate
from appliance_lab.checkers.tree_record import compare, take
from appliance_lab.processes.territory import ProcessTerritory
from tests.integration.cli.typed import answer_of, type_at

NODE, SERVICE = "commune-a", "docs-a"
BACK = ("restore", "node", "--in-place", "--once")


def replace_node(territory: ProcessTerritory) -> None:
    """Another machine with keys of its own stands where the node stood, and the next bundle names it."""
    territory.nodes[NODE].wipe()
    territory.add_node(NODE)
    territory.sign()


def answer(territory: ProcessTerritory, request: Path) -> None:
    grant = territory.grant(request.read_bytes(), NODE)
    request.with_suffix(".grant").write_bytes(grant)


def add_service(territory: ProcessTerritory, folder: Path, name: str) -> None:
    """Another one of the node, which nobody stands by for."""
    (folder / name).mkdir()
    (folder / name / "acte").write_text("un acte")
    known = territory.territory.services
    other = replace(known[SERVICE], name=name, standbys=(), paths=(str(folder / name),))
    territory.territory = replace(territory.territory, services={**known, name: other})
    territory.sign()
    take_first_grant(territory.open(NODE), name, territory.grant(begin(territory.open(NODE), name), NODE))


def test_a_machine_that_the_bundle_does_not_name_yet_begins_nothing(
    territory: ProcessTerritory, tmp_path: Path
) -> None:
    territory.nodes[NODE].wipe()
    old = territory.members[NODE]
    territory.add_node(NODE)
    territory.members[NODE] = old
    territory.sign()
    for *verb, out in (
        ("begin", SERVICE, "--out", str(tmp_path / "out")),
        ("resync", "--all", "--request", str(tmp_path)),
    ):
        assert "it has other keys" in type_at(territory, NODE, "backup", *verb, out, code=8)
    assert type_at(territory, NODE, "node", "show")["in_bundle"] is False
    assert not territory.nodes[NODE].layout.service(SERVICE).repository.exists()


def test_a_standby_hands_the_keys_over_and_the_machine_goes_on(
    territory: ProcessTerritory, documents: Path, tmp_path: Path
) -> None:
    before = take(documents, as_root=False)
    writer.run(territory.open(NODE), SERVICE)
    desk = tmp_path / "desk"
    desk.mkdir()
    replace_node(territory)
    shutil.rmtree(documents)

    refused = json.loads(territory.nodes[NODE].cli("--json", *BACK, check=False).stdout)
    assert "add --recovery-sheet" in refused["failed"][SERVICE]
    assert "standby of no service" in type_at(territory, "commune-b", "escrow", "export-keys", NODE, code=3)
    handed = desk / "handed.json"
    handed.write_text(json.dumps(type_at(territory, "hermitage", "escrow", "export-keys", NODE)))
    assert "commune-c is not the origin of" in type_at(
        territory, "commune-c", "escrow", "import-keys", str(handed), code=8
    )
    assert type_at(territory, NODE, "escrow", "import-keys", str(handed))["taken"] == [SERVICE]

    assert type_at(territory, NODE, *BACK)["services"][SERVICE]["warnings"] == []
    assert [str(it) for it in compare(before, take(documents, as_root=False))] == []
    (documents / "written since").write_text("stays")
    assert type_at(territory, NODE, *BACK)["before"] == [SERVICE]
    assert (documents / "written since").read_text() == "stays"

    resync = ("backup", "resync", "--all")
    assert "has a history" in type_at(territory, NODE, "backup", "begin", SERVICE, "--out", str(desk / "x"), code=8)
    begin_all = ("backup", "begin", "--all", "--out", str(desk))
    assert "waits for its first grant" in type_at(territory, NODE, *begin_all, code=3)
    assert "no grant here that this machine waits for" in type_at(
        territory, NODE, *resync, "--grant", str(desk), code=3
    )
    asked = type_at(territory, NODE, *resync, "--request", str(desk))["services"]
    assert [(it["service"], it["opens"]) for it in asked] == [(SERVICE, True)]
    answer(territory, desk / f"{SERVICE}.request")
    taken = type_at(territory, NODE, *resync, "--grant", str(desk))["grants"]
    assert [(it["service"], it["writer"]) for it in taken] == [(SERVICE, NODE)]
    assert "waits to be continued" in type_at(territory, NODE, *resync, "--request", str(desk), code=3)
    assert not territory.nodes[NODE].layout.service(SERVICE).handed.exists()
    assert type_at(territory, NODE, "backup", "run", SERVICE)["safety"]["safe"]


def test_where_no_standby_is_left_the_paper_is_typed_once(
    territory: ProcessTerritory, documents: Path, tmp_path: Path
) -> None:
    paper = generate()
    territory.recovery = paper.public
    add_service(territory, tmp_path, "registre")
    before = take(documents, as_root=False)
    for service in (SERVICE, "registre"):
        writer.run(territory.open(NODE), service)
    replace_node(territory)
    territory.nodes["hermitage"].stop()
    shutil.rmtree(documents)
    words = ("--json", "escrow", "import-keys", "--recovery-sheet")
    typed = territory.nodes[NODE].cli(*words, stdin=paper.secret.reveal(), check=False)
    assert sorted(answer_of(typed, 0)["taken"]) == [SERVICE, "registre"]
    assert type_at(territory, NODE, *BACK)["failed"] == {}
    assert [str(it) for it in compare(before, take(documents, as_root=False))] == []
    asked = type_at(territory, NODE, "backup", "resync", "--all", "--request", str(tmp_path), code=1)["services"]
    assert [it["opens"] for it in asked] == [True, True]


def test_one_service_that_takes_the_paper_stops_no_other_that_was_granted(
    territory: ProcessTerritory, tmp_path: Path
) -> None:
    """As what a node saves of itself, where nobody stands by for it."""
    paper = generate()
    territory.recovery = paper.public
    add_service(territory, tmp_path, "registre")
    for service in (SERVICE, "registre"):
        writer.run(territory.open(NODE), service)
    replace_node(territory)
    (tmp_path / "handed").write_text(json.dumps(type_at(territory, "hermitage", "escrow", "export-keys", NODE)))
    type_at(territory, NODE, "escrow", "import-keys", str(tmp_path / "handed"))
    resync = ("backup", "resync", "--all")
    asked = type_at(territory, NODE, *resync, "--request", str(tmp_path))["services"]
    assert {it["service"]: it["opens"] for it in asked} == {SERVICE: True, "registre": False}
    for service in (SERVICE, "registre"):
        answer(territory, tmp_path / f"{service}.request")

    ended = territory.nodes[NODE].cli("--json", *resync, "--grant", str(tmp_path), check=False)
    taken = json.loads(ended.stdout)
    assert ended.exit_code == 8
    assert [it["service"] for it in taken["grants"]] == [SERVICE]
    assert "add --recovery-sheet" in taken["failed"]["registre"]
    told = ended.stderr.decode()
    assert "Next, if files of before are missing: " in told
    assert f" restore all --service {SERVICE} --in-place\n" in told

    words = ("--json", "escrow", "import-keys", "--recovery-sheet")
    typed = territory.nodes[NODE].cli(*words, stdin=paper.secret.reveal(), check=False)
    assert answer_of(typed, 0)["taken"] == ["registre"]
    taken = type_at(territory, NODE, *resync, "--grant", str(tmp_path))
    assert ([it["service"] for it in taken["grants"]], taken["failed"]) == (["registre"], {})


def test_a_machine_that_began_while_nobody_answered_goes_on_with_its_history(
    territory: ProcessTerritory, documents: Path, tmp_path: Path
) -> None:
    """Its line was cut: what it made then is of no use, and stands in the way of nothing."""
    paper = generate()
    territory.recovery = paper.public
    territory.sign()
    before = take(documents, as_root=False)
    writer.run(territory.open(NODE), SERVICE)
    replace_node(territory)
    shutil.rmtree(documents)
    documents.mkdir()
    others = [node for name, node in territory.nodes.items() if name != NODE]
    for node in others:
        node.stop()
    request, grant = tmp_path / "asked.request", tmp_path / "asked.grant"
    type_at(territory, NODE, "backup", "begin", SERVICE, "--out", str(request))
    answer(territory, request)
    type_at(territory, NODE, "backup", "accept", SERVICE, str(grant))
    assert type_at(territory, NODE, "backup", "run", SERVICE, code=1)["generation"] == "4.1"
    for node in others:
        node.start_sshd()
    for verb in ("run", "push"):
        ended = territory.nodes[NODE].cli("backup", verb, SERVICE, check=False)
        assert ended.exit_code == 8
        assert "knows epoch 2 of docs-a, and this node began without it" in ended.stderr.decode()
        assert f"`appliance backup resync {SERVICE} --request" in ended.stderr.decode()
    assert type_at(territory, "hermitage", "vault", "show", SERVICE)["generations"][-1]["name"].startswith("00002.")

    assert type_at(territory, NODE, "backup", "resync", SERVICE, "--request", str(request))["generation"] == "2.1"
    answer(territory, request)
    words = ("--json", "backup", "resync", SERVICE, "--grant", str(grant), "--recovery-sheet")
    taken = territory.nodes[NODE].cli(*words, stdin=paper.secret.reveal(), check=False)
    assert answer_of(taken, 0)["epoch"] == 6
    type_at(territory, NODE, "restore", "all", "--service", SERVICE, "--in-place")
    differ = [str(it) for it in compare(before, take(documents, as_root=False)) if not str(it).startswith(".: ")]
    assert differ == []
    assert type_at(territory, NODE, "backup", "run", SERVICE)["safety"]["safe"]
