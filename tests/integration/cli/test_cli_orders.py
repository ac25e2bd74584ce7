"""A command carries out the restore requests of the portal, and another one finds an attack."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from appliance.backup import restore_requests
from appliance.backup.writer import writer
from appliance.restore import jobs, process
from appliance.restore.place import place_all
from appliance.restore.request import Kind, RestoreRequest, load_status, place_request, request_folder, result_of
from appliance.trust.act import Act
from appliance.trust.signed import Document
from appliance_lab.processes.territory import ProcessTerritory
from tests.integration.cli.typed import SERVICE, type_at


@pytest.fixture
def saved(territory: ProcessTerritory, documents: Path) -> ProcessTerritory:
    """A share of forty letters that is saved, encrypted within a second, and saved again."""
    for number in range(40):
        (documents / f"lettre {number}.odt").write_text(f"letter {number}")
    writer.run(territory.open("commune-a"), SERVICE)
    time.sleep(max(0.0, 1.1 - time.time() % 1))  # archives are a second apart
    for number in range(40):
        (documents / f"lettre {number}.odt").rename(documents / f"lettre {number}.odt.locked")
        (documents / f"lettre {number}.odt.locked").write_text("noise")
    writer.run(territory.open("commune-a"), SERVICE)
    return territory


def ask(saved: ProcessTerritory, documents: Path, kind: Kind, archive: str, name: str = "") -> RestoreRequest:
    share = str(documents).lstrip("/")
    return place_request(
        saved.open("commune-a").service(SERVICE).requests,
        person="marie",
        service=SERVICE,
        kind=kind,
        archive=archive,
        moment_seconds=time.time(),
        paths=(f"{share}/{name}" if name else share,),
        share=share,
        now=time.time(),
    )


def test_an_attack_is_found_and_everything_put_back(saved: ProcessTerritory, documents: Path) -> None:
    answer = type_at(saved, "commune-a", "restore", "detect-attack", "--limit", "3")
    (attack,) = answer["attacks"]
    assert (attack["hit"], attack["gone"], attack["ending"]) == (40, 40, ".locked")
    assert len(answer["files"]) == 3
    node = saved.open("commune-a")
    file = ask(saved, documents, "download", attack["safe_archive"], "lettre 7.odt")
    share = ask(saved, documents, "in-place", attack["safe_archive"])
    waiting = type_at(saved, "commune-a", "internal", "restore", "process-requests", "--dry-run")["carried"]
    assert [(it["order"], it["state"]) for it in waiting] == [(file.id, "waiting"), (share.id, "waiting")]
    done = type_at(saved, "commune-a", "internal", "restore", "process-requests", code=1)["carried"]
    assert [it["state"] for it in done] == ["ready", "failed"]
    assert "signed act" in done[1]["failure"]
    requests = node.service(SERVICE).requests
    assert result_of(requests, file.id).read_text() == "letter 7"
    assert type_at(saved, "commune-a", "internal", "restore", "process-requests")["carried"] == []
    assert restore_requests.rewind_act(node, SERVICE) is None
    assert load_status(request_folder(requests, share.id)).cause == "Refused"
    assert not (documents / "lettre 7.odt").exists()


def test_an_act_in_force_lets_the_share_be_replaced(
    saved: ProcessTerritory, documents: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = saved.open("commune-a")
    safe = type_at(saved, "commune-a", "restore", "detect-attack")["attacks"][0]["safe_archive"]
    now = node.clock.now()
    act = Act("rewind", SERVICE, "any", "maintenance", "ransomware", now, now + 600, Document("", {}, "", b""))
    monkeypatch.setattr(restore_requests, "load_acts", lambda folder, bundle, kind: [act] if kind == "rewind" else [])
    ask(saved, documents, "in-place", safe)
    (done,) = restore_requests.process_waiting(node)
    assert done.status.state == "ready"
    assert (documents / "lettre 7.odt").read_text() == "letter 7"
    assert os.path.exists(documents / "lettre 7.odt.locked"), "what came later is not removed"
    (event,) = node.journal.events("restored")
    assert (event["job"], event["in_place"]) == (done.status.job, True)
    assert restore_requests.rewind_act(node, "docs-b") is None


def test_a_replacement_that_was_cut_goes_on_as_itself_and_can_be_undone(
    saved: ProcessTerritory, documents: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = saved.open("commune-a")
    safe = type_at(saved, "commune-a", "restore", "detect-attack")["attacks"][0]["safe_archive"]
    (documents / "lettre 7.odt").write_text("written since")
    asked = ask(saved, documents, "in-place", safe, "lettre 7.odt")
    with monkeypatch.context() as cut:
        cut.setattr(jobs, "place_all", _placed_and_cut)
        with pytest.raises(KeyboardInterrupt):
            list(restore_requests.process_waiting(node))
    (done,) = restore_requests.process_waiting(node)
    assert (done.request.id, done.status.state) == (asked.id, "ready")
    assert (documents / "lettre 7.odt").read_text() == "letter 7"
    type_at(saved, "commune-a", "restore", "undo", done.status.job)
    assert (documents / "lettre 7.odt").read_text() == "written since"


def test_a_download_that_was_cut_goes_on_as_itself(
    saved: ProcessTerritory, documents: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = saved.open("commune-a")
    safe = type_at(saved, "commune-a", "restore", "detect-attack")["attacks"][0]["safe_archive"]
    asked = ask(saved, documents, "download", safe, "lettre 7.odt")
    with monkeypatch.context() as cut:
        cut.setattr(process, "run", _cut)
        with pytest.raises(KeyboardInterrupt):
            list(restore_requests.process_waiting(node))
    assert safe in writer.needed(node, SERVICE), "it may not be forgotten meanwhile"
    (done,) = restore_requests.process_waiting(node)
    assert done.status.state == "ready", done.status.failure
    assert result_of(node.service(SERVICE).requests, asked.id).read_text() == "letter 7"


def _placed_and_cut(*words: Any) -> None:
    place_all(*words)
    raise KeyboardInterrupt


def _cut(*words: object, **names: object) -> object:
    raise KeyboardInterrupt
