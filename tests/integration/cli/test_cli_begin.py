"""All services of a node begun at once: one command there, one at the key holder's desk, one there again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from appliance.config.load import load
from appliance.escrow.age import generate
from appliance.host.command import run
from appliance.membership.renew import to_begin
from appliance.node.handle import open_node
from appliance.territory.implicit import with_implicit
from appliance_lab.checkout import appliance_argv, code_folder
from tests.integration.cli.typed import Typed
from tests.worlds.demo import INVENTORY, signed_territory

NODE, OWN, DOCS = "commune-a", "appliance-commune-a", "docs-a"


@pytest.fixture
def typed(tmp_path: Path) -> Typed:
    """The demo's nodes, each with its own service too; nothing has begun and nothing runs."""
    made = signed_territory(tmp_path / "made", with_implicit(replace(load(INVENTORY), own_backup=True)))
    desk = tmp_path / "desk"
    desk.mkdir()
    (desk / "territory").write_bytes(made.territory_key.read_bytes())
    (desk / "bundle").write_bytes(made.nodes[NODE].layout.bundle.read_bytes())
    return Typed(desk, tmp_path, generate(), made.nodes)


def test_all_that_begins_at_a_node_is_requested_granted_and_accepted_at_once(typed: Typed) -> None:
    desk, layout = str(typed.desk), typed.nodes[NODE].layout
    begin, accept = ("backup", "begin", "--all", "--out", desk), ("backup", "accept", "--all", desk)
    grant = ("territory", "grant", "--bundle", "bundle", "--key", "territory", "--out", ".", "--yes")

    assert [it["written"] for it in typed(NODE, *begin, "--dry-run")["services"]] == [False, False]
    assert not layout.service(DOCS).root.exists()
    assert "there is no grant here that this node waits for" in typed(NODE, *accept, code=3)
    assert [it["service"] for it in typed(NODE, *begin)["services"]] == [OWN, DOCS] == to_begin(open_node(layout.root))
    requests = [f"{name}.request" for name in (OWN, DOCS)]
    assert f"2 requests are for {OWN}" in typed.at_desk(*grant, *requests, requests[0], code=2)
    assert list(typed.desk.glob("*.grant")) == []
    granted = typed.at_desk(*grant, *requests)["grants"]
    assert [(it["service"], it["epoch"], it["out"]) for it in granted] == [
        (name, 2, f"{name}.grant") for name in (OWN, DOCS)
    ]
    assert [(it["service"], it["taken"]) for it in typed(NODE, *accept)["grants"]] == [(OWN, True), (DOCS, True)]
    assert to_begin(open_node(layout.root)) == []
    assert "waits for its first grant" in typed(NODE, *begin, code=3)
    assert "already has a grant here: the newest is of epoch 2" in typed(
        NODE, "backup", "begin", DOCS, "--out", f"{desk}/again", code=8
    )
    assert typed(NODE, "backup", "run", OWN, "--dry-run")["reads"] == [
        str(layout.root.resolve() / name)
        for name in ("node.json", "bundle", "journal.jsonl", f"services/{OWN}/chain", f"services/{DOCS}/chain")
    ]


def test_one_service_is_named_or_all_of_them(typed: Typed) -> None:
    for words in (("begin", "--out", "x"), ("begin", DOCS, "--all", "--out", "x"), ("accept", DOCS)):
        assert "or --all" in typed(NODE, "backup", *words, code=2)


def test_the_printed_line_makes_the_folder_of_grants_and_leads_back_to_the_playbook(typed: Typed) -> None:
    """One line is next, not one for each service, with paths of a machine that the nodes do not know."""
    folder = typed.desk / "requests"
    folder.mkdir()
    typed(NODE, "backup", "begin", DOCS, "--out", str(folder / f"{DOCS}.request"))
    again = "ansible-playbook -i inventory/vallee playbooks/bootstrap.yml"
    (folder / "again").write_text(f"{again}\n")
    words = ("territory", "grant", f"requests/{DOCS}.request", "--bundle", "bundle", "--key", "territory", "--yes")
    argv = (*appliance_argv(), *words, "--out", "grants/")
    said = run(argv, timeout_seconds=120, cwd=typed.desk, env={"PYTHONPATH": str(code_folder())}, check=True)
    told = (said.stdout + said.stderr).decode()
    assert [line for line in told.splitlines() if line.startswith("Next")] == [f"Next, on the control machine: {again}"]
    assert [it.name for it in (typed.desk / "grants").iterdir()] == [f"{DOCS}.grant"]


def test_a_folder_that_is_named_and_missing_is_made_by_nothing_else(typed: Typed) -> None:
    typed(NODE, "backup", "begin", DOCS, "--out", f"{typed.desk}/{DOCS}.request")
    grant = ("territory", "grant", f"{DOCS}.request", "--bundle", "bundle", "--key", "territory", "--yes")
    assert "there is no such folder" in typed.at_desk(*grant, "--out", "no/grants/", code=3)
    (shown,) = typed.at_desk(*grant, "--out", "grants/", "--dry-run")["grants"]
    assert shown["written"] is False
    assert not (typed.desk / "grants").exists()
