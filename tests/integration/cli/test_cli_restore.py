"""`appliance restore` where it matters: in place, undone, cut, at a standby that is behind, at a blind peer."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.backup.peers.fetched_key import open_key
from appliance.backup.writer import writer
from appliance.errors import NotFound
from appliance.secret import Secret
from appliance.trust.keys import create_key
from appliance_lab.processes.territory import ProcessTerritory
from tests.integration.cli.typed import SERVICE, type_at
from tests.worlds.demo import running_territory

ODD = "Conseil/facture \udcff\u202e.odt"


def save_two_days(territory: ProcessTerritory) -> None:
    """A file of which the name is not UTF-8 is written, then another replaced and one deleted."""
    documents = Path(territory.territory.services[SERVICE].paths[0])
    (documents / "Conseil").mkdir(exist_ok=True)
    (documents / ODD).write_text("the invoice")
    (documents / "budget.ods").write_text("the budget")
    (documents / "deleted.odt").write_text("deleted on tuesday")
    writer.run(territory.open("commune-a"), SERVICE)
    (documents / "deleted.odt").unlink()
    (documents / "budget.ods").write_text("a wrong budget")
    writer.run(territory.open("commune-a"), SERVICE)


@pytest.fixture
def saved(territory: ProcessTerritory) -> ProcessTerritory:
    save_two_days(territory)
    return territory


@pytest.fixture(scope="module")
def kept(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessTerritory]:
    """The same for all tests that change nothing of it."""
    place = tmp_path_factory.mktemp("kept")
    shutil.copytree(corpus, place / "documents", symlinks=True)
    create_key(place / "maintenance_ed25519")
    with running_territory(place / "territory", place / "documents", place / "maintenance_ed25519") as made:
        save_two_days(made)
        yield made


@pytest.fixture
def kept_documents(kept: ProcessTerritory) -> Path:
    return Path(kept.territory.services[SERVICE].paths[0])


def archived(documents: Path, name: str) -> str:
    return str(documents / name).lstrip("/")


def test_a_file_is_put_back_in_place_and_the_restore_undone(saved: ProcessTerritory, documents: Path) -> None:
    path = archived(documents, "budget.ods")
    answer = type_at(saved, "commune-a", "restore", "find", "BUDGÉT", "ods")
    (found,) = answer["found"]
    assert not answer["more"]
    assert (found["path"], found["versions"], found["deleted_since"]) == (path, 2, None)
    versions = type_at(saved, "commune-a", "restore", "versions", f"/{path}")["versions"]
    assert [(it["version"], it["size_bytes"], it["current"]) for it in versions] == [(1, 14, True), (2, 10, False)]
    words = ("restore", "file", path, "--version", "2", "--in-place")
    assert type_at(saved, "commune-a", *words, "--dry-run")["entries"] == 1
    assert (documents / "budget.ods").read_text() == "a wrong budget"
    done = type_at(saved, "commune-a", *words)
    assert (documents / "budget.ods").read_text() == "the budget"
    (job,) = type_at(saved, "commune-a", "restore", "jobs")["jobs"]
    assert (job["job"], job["state"], job["in_place"]) == (done["job"], "done", True)
    assert type_at(saved, "commune-a", "restore", "undo", done["job"], "--dry-run")["put_back"] == [path]
    assert type_at(saved, "commune-a", "restore", "undo", done["job"])["state"] == "undone"
    assert (documents / "budget.ods").read_text() == "a wrong budget"


def test_nothing_takes_the_place_of_a_file_that_somebody_has_open_unless_it_shall(
    saved: ProcessTerritory, documents: Path
) -> None:
    words = ("restore", "file", archived(documents, "budget.ods"), "--version", "2", "--in-place")
    with open(documents / "budget.ods", "a") as file:
        told = type_at(saved, "commune-a", *words, code=4)
        assert f"files that the restore replaces are open: {documents}/budget.ods." in told
        assert "run the command again" in told
        file.write(", saved meanwhile")
    assert (documents / "budget.ods").read_text() == "a wrong budget, saved meanwhile"
    done = type_at(saved, "commune-a", *words)
    (job,) = type_at(saved, "commune-a", "restore", "jobs")["jobs"]
    assert job["job"] == done["job"], "it went on where it was"
    assert (documents / "budget.ods").read_text() == "the budget"
    with open(documents / "budget.ods", "a"):
        undo = ("restore", "undo", done["job"])
        assert "files that undoing the restore replaces are open" in type_at(saved, "commune-a", *undo, code=4)
        type_at(saved, "commune-a", *undo, "--force")
    assert (documents / "budget.ods").read_text() == "a wrong budget, saved meanwhile"
    with open(documents / "budget.ods", "a"):
        type_at(saved, "commune-a", *words, "--force")
    assert (documents / "budget.ods").read_text() == "the budget"


def test_everything_of_a_node_comes_back_to_folders_or_in_place(
    saved: ProcessTerritory, documents: Path, tmp_path: Path
) -> None:
    words = ("restore", "node", "--to", str(tmp_path / "back"))
    assert type_at(saved, "commune-a", *words, "--dry-run")["services"][SERVICE]["entries"] > 1
    (done,) = type_at(saved, "commune-a", *words)["services"].values()
    assert done["state"] == "done"
    back = tmp_path / "back" / SERVICE / archived(documents, "budget.ods")
    assert back.read_text() == "a wrong budget"
    (documents / "budget.ods").unlink()
    (documents / "new.txt").write_text("written since")
    type_at(saved, "commune-a", "restore", "node", "--in-place")
    assert (documents / "budget.ods").read_text() == "a wrong budget"
    assert (documents / "new.txt").read_text() == "written since", "what a restore does not bring, it leaves"
    assert "is the origin of no service" in type_at(saved, "hermitage", "restore", "node", "--in-place", code=3)
    assert "Give either" in type_at(saved, "commune-a", "restore", "node", code=2)


def test_a_search_tells_that_more_exist_than_it_shows(kept: ProcessTerritory) -> None:
    answer = type_at(kept, "commune-a", "restore", "find", "o", "--limit", "2")
    assert (len(answer["found"]), answer["more"]) == (2, True)
    told = kept.nodes["commune-a"].cli("restore", "find", "o", "--limit", "2").stderr.decode()
    assert "2 shown, there are more: --limit 40" in told
    nothing = kept.nodes["commune-a"].cli("restore", "find", "no-such-name").stderr.decode()
    assert "restore find PART" in nothing


def test_what_was_deleted_is_listed_and_comes_back(
    kept: ProcessTerritory, kept_documents: Path, tmp_path: Path
) -> None:
    (found,) = type_at(kept, "commune-a", "restore", "find", "--deleted")["found"]
    assert found["path"] == archived(kept_documents, "deleted.odt")
    assert found["deleted_since"]
    done = type_at(kept, "commune-a", "restore", "file", found["path"], "--to", str(tmp_path / "back"))
    assert Path(done["restored"]).read_text() == "deleted on tuesday"


def test_a_name_that_is_not_utf_8_is_exact_in_json_and_harmless_on_a_terminal(
    kept: ProcessTerritory, kept_documents: Path, tmp_path: Path
) -> None:
    (found,) = type_at(kept, "commune-a", "restore", "find", "facture", "conseil", ".odt")["found"]
    assert found["path"] == archived(kept_documents, ODD)
    shown = kept.nodes["commune-a"].cli("restore", "find", "facture", "conseil", ".odt").stdout.decode()
    assert "facture \\xff\\u202e.odt" in shown
    done = type_at(kept, "commune-a", "restore", "file", found["path"], "--to", str(tmp_path / "back"))
    assert Path(os.fsdecode(os.fsencode(done["restored"]))).read_text() == "the invoice"


def test_a_folder_comes_back_and_a_file_is_no_folder(
    kept: ProcessTerritory, kept_documents: Path, tmp_path: Path
) -> None:
    path = archived(kept_documents, "Conseil")
    refused = type_at(kept, "commune-a", "restore", "file", path, "--to", str(tmp_path / "back"), code=2)
    assert "appliance restore folder" in refused
    done = type_at(kept, "commune-a", "restore", "folder", path, "--to", str(tmp_path / "back"))
    assert (Path(done["restored"]) / Path(ODD).name).read_text() == "the invoice"
    again = type_at(kept, "commune-a", "restore", "folder", path, "--to", str(tmp_path / "back"), code=2)
    assert "is not empty" in again


def test_a_standby_that_is_behind_opens_the_newest_of_its_peers_and_says_so(
    saved: ProcessTerritory, documents: Path
) -> None:
    saved.nodes["hermitage"].stop()
    (documents / "wednesday.odt").write_text("written while the standby was away")
    writer.run(saved.open("commune-a"), SERVICE)
    saved.nodes["hermitage"].start_sshd()
    saved.nodes["commune-a"].wipe()
    newest = type_at(saved, "hermitage", "restore", "find", "wednesday")
    assert len(newest["found"]) == 1
    assert newest["sources"][SERVICE]["generation"] == "2.3"
    assert newest["sources"][SERVICE]["place"] == "its peers"
    own = type_at(saved, "hermitage", "restore", "find", "wednesday", "--from", "standby")
    assert own["sources"][SERVICE]["generation"] == "2.2"
    assert own["sources"][SERVICE]["warning"]
    peer = type_at(saved, "hermitage", "restore", "find", "wednesday", "--from", "peer:commune-b")
    assert len(peer["found"]) == 1
    assert "commune-b" in peer["sources"][SERVICE]["warning"]


def test_without_an_envelope_for_it_the_paper_is_refused_in_a_sentence(
    territory: ProcessTerritory, tmp_path: Path
) -> None:
    with pytest.raises(NotFound, match="no envelope for the recovery key"):
        open_key(territory.open("commune-a"), SERVICE, tmp_path, Secret(b"typed"))


def test_a_paper_that_is_not_needed_is_not_read_and_that_is_said(kept: ProcessTerritory) -> None:
    told = kept.nodes["commune-a"].cli("restore", "find", "budget", "--recovery-sheet", stdin=b"").stderr.decode()
    assert "the recovery key is not needed and was not read" in told


def test_a_blind_peer_opens_nothing_whatever_it_is_given(kept: ProcessTerritory) -> None:
    words = ("restore", "find", "budget", "--service", SERVICE, "--recovery-sheet", "--from", "standby")
    refused = type_at(kept, "commune-b", *words, code=8)
    assert "does not trust commune-b" in refused
    assert "the recovery key opens it on a replacement machine (docs/how-to/replace-a-node.md)" in refused
    refused = type_at(kept, "commune-b", "restore", "find", "budget", "--recovery-sheet", code=3)
    assert "by hand with this disk (docs/recovery-by-hand.md)" in refused
    assert not kept.open("commune-b").service(SERVICE).root.exists()
