"""A database cannot be dumped: the run says so and has failed, however much of the rest is safe; the next one heals."""

from __future__ import annotations

import json
import shlex
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from appliance.backup.peers.openable import open_best
from appliance.backup.restore_requests import environment_of
from appliance.borg.client import Borg
from appliance.borg.names import time_of
from appliance.restore.process import process
from appliance.restore.request import Status, place_request
from tests.integration.faults.world import BLIND, ORIGIN, SERVICE, FaultWorld


def become(world: FaultWorld, **changes: Any) -> None:
    """Sign a bundle in which the service is of another kind."""
    plan = world.territory.territory
    service = replace(plan.services[SERVICE], **changes)
    world.territory.territory = replace(plan, services={**plan.services, SERVICE: service})
    world.territory.sign()


def run_and_fail(world: FaultWorld, code: int) -> Mapping[str, Any]:
    said = world.territory.nodes[ORIGIN].cli("--json", "backup", "run", SERVICE, check=False)
    assert said.exit_code == code, said.tail()
    answer: Mapping[str, Any] = json.loads(said.stdout)
    return answer


def held_by_the_blind_peer(world: FaultWorld, path: Path) -> bytes:
    """The content of `path` in the newest archive of what the blind peer has."""
    borg = Borg(open_best(world.node(), SERVICE, f"peer:{BLIND}").repository)
    into = world.work / "out"
    borg.extract(borg.archives()[-1].name, [str(path).lstrip("/")], into)
    return (into / str(path).lstrip("/")).read_bytes()


def archive_of(world: FaultWorld, number: int) -> str:
    return Borg(open_best(world.node(), SERVICE).repository).archives()[number].name


def ordered(world: FaultWorld, path: Path, archive: str) -> Status:
    """Return the status that the pages show for a request of the file `path` of `archive`."""
    node, name = world.node(), str(path).lstrip("/")
    here = environment_of(node, SERVICE)
    request = place_request(
        here.requests,
        person="marie",
        service=SERVICE,
        kind="download",
        archive=archive,
        moment_seconds=time_of(archive),
        paths=(name,),
        share=name,
        now=node.clock.now(),
    )
    status = process(here, request.id, now=node.clock.now(), age_seconds=0)
    assert status.state == "ready", status
    return status


def make_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE courrier(objet TEXT)")
        database.executemany("INSERT INTO courrier VALUES(?)", [("arrêté",)] * 1000)
        database.commit()


def test_a_damaged_sqlite_database_fails_the_run_and_not_the_other_one(world: FaultWorld) -> None:
    good, bad = world.documents / "courrier.sqlite", world.documents / "agenda.sqlite"
    make_database(good)
    make_database(bad)
    whole = bad.read_bytes()
    bad.write_bytes(whole[:4096] + b"\xff" * 4096 + whole[8192:])
    become(world, kind="sqlite", paths=(str(good), str(bad)))
    answer = run_and_fail(world, 5)
    assert [failure["what"] for failure in answer["failures"]] == [str(bad)]
    assert not answer["safety"]["safe"], "a backup without it is partial"
    assert len(answer["safety"]["counted"]) == 2, "and what could be saved is held"
    (world.work / "copy.sqlite").write_bytes(held_by_the_blind_peer(world, good))
    with closing(sqlite3.connect(world.work / "copy.sqlite")) as copy:
        assert copy.execute("SELECT count(*) FROM courrier").fetchone() == (1000,)
    assert held_by_the_blind_peer(world, bad) == bad.read_bytes(), "as it is: an expert may mend it"
    bad.write_bytes(whole)
    assert world.save().failures == ()
    world.assert_no_counter_twice()


def test_a_restore_of_a_database_that_was_not_copied_says_so_and_names_the_last_copy(world: FaultWorld) -> None:
    base, origin = world.documents / "agenda.sqlite", world.territory.nodes[ORIGIN]
    make_database(base)
    become(world, kind="sqlite", paths=(str(base),))
    copied = world.save().created.archive
    whole = base.read_bytes()
    base.write_bytes(whole[:4096] + b"\xff" * 4096 + whole[8192:])
    run_and_fail(world, 5)
    for words in (("file", str(base)), ("all",)):
        to = world.work / words[0]
        brought = origin.cli("restore", *words, "--service", SERVICE, "--to", str(to), check=False)
        said = brought.stdout.decode()
        assert brought.exit_code == 1, said
        assert "is the raw file of a database, not a clean copy, and may be inconsistent: " in said
        assert (to / str(base).lstrip("/")).read_bytes() == base.read_bytes(), "an expert may want it"
    line = said.partition("The last copy: ")[2].partition("\n")[0].replace("DIR", str(world.work / "copy"))
    assert copied in line
    obeyed = origin.cli(*shlex.split(line)[3:], check=False)
    assert obeyed.exit_code == 0, obeyed.tail()
    with closing(sqlite3.connect(world.work / "copy" / str(base).lstrip("/"))) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert [it for it, _ in ordered(world, base, archive_of(world, -1)).raw] == [str(base).lstrip("/")]
    assert ordered(world, base, archive_of(world, -1)).raw[0][1] == str(time_of(copied))
    assert ordered(world, base, copied).raw == ()
    before = origin.cli("restore", "file", str(base), "--service", SERVICE, "--version", "2", "--to", str(to / "2"))
    assert b"torn" not in before.stdout


def test_a_database_server_that_does_not_answer_fails_the_run_and_not_the_files(world: FaultWorld) -> None:
    become(world, kind="postgresql", database="mairie")
    attachment = world.documents / "pièce jointe.pdf"
    attachment.write_bytes(b"%PDF")
    said = world.territory.nodes[ORIGIN].cli("--json", "backup", "run", SERVICE, check=False)
    assert said.exit_code not in (0, 1, 70), said.tail()
    answer = json.loads(said.stdout)
    assert [failure["what"] for failure in answer["failures"]] == ["database mairie"]
    assert not answer["safety"]["safe"]
    assert len(answer["safety"]["counted"]) == 2
    assert held_by_the_blind_peer(world, attachment) == b"%PDF"
    assert [entry["what"] for entry in world.node().journal.events("source-failed")] == ["database mairie"]
    become(world, kind="files", database="")
    assert world.save().failures == ()


def test_nothing_that_could_be_read_seals_nothing(world: FaultWorld) -> None:
    """The disk of the documents is not mounted: an empty backup would be taken for the newest state."""
    world.documents.rename(world.work / "unmounted")
    said = world.territory.nodes[ORIGIN].cli("backup", "run", SERVICE, check=False)
    assert said.exit_code == 3
    assert "does not exist" in said.tail()
    assert "Check that its disk is mounted." in said.tail()
    (world.work / "unmounted").rename(world.documents)
    assert str(world.save().sealed.header.id) == "2.2"
    world.assert_nothing_lost()
