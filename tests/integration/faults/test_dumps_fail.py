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

from appliance.backup.ordered import ground_of
from appliance.backup.peers.openable import open_best
from appliance.borg.client import Borg
from appliance.borg.names import time_of
from appliance.restore.carry import carry_out
from appliance.restore.order import Status, place_order
from tests.integration.faults.ground import BLIND, ORIGIN, SERVICE, Ground


def become(ground: Ground, **changes: Any) -> None:
    """Sign a bundle in which the service is of another kind."""
    plan = ground.territory.territory
    service = replace(plan.services[SERVICE], **changes)
    ground.territory.territory = replace(plan, services={**plan.services, SERVICE: service})
    ground.territory.sign()


def run_and_fail(ground: Ground, code: int) -> Mapping[str, Any]:
    said = ground.territory.nodes[ORIGIN].cli("--json", "backup", "run", SERVICE, check=False)
    assert said.exit_code == code, said.tail()
    answer: Mapping[str, Any] = json.loads(said.stdout)
    return answer


def held_by_the_blind_peer(ground: Ground, path: Path) -> bytes:
    """The content of `path` in the newest archive of what the blind peer has."""
    borg = Borg(open_best(ground.node(), SERVICE, f"peer:{BLIND}").repository)
    into = ground.work / "out"
    borg.extract(borg.archives()[-1].name, [str(path).lstrip("/")], into)
    return (into / str(path).lstrip("/")).read_bytes()


def archive_of(ground: Ground, number: int) -> str:
    return Borg(open_best(ground.node(), SERVICE).repository).archives()[number].name


def ordered(ground: Ground, path: Path, archive: str) -> Status:
    """What the pages tell who asks for the file `path` of `archive`."""
    node, name = ground.node(), str(path).lstrip("/")
    here = ground_of(node, SERVICE)
    order = place_order(
        here.orders,
        person="marie",
        service=SERVICE,
        kind="download",
        archive=archive,
        moment_seconds=time_of(archive),
        paths=(name,),
        share=name,
        now=node.clock.now(),
    )
    status = carry_out(here, order.id, now=node.clock.now(), age_seconds=0)
    assert status.state == "ready", status
    return status


def make_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE courrier(objet TEXT)")
        database.executemany("INSERT INTO courrier VALUES(?)", [("arrêté",)] * 1000)
        database.commit()


def test_a_damaged_sqlite_database_fails_the_run_and_not_the_other_one(ground: Ground) -> None:
    good, bad = ground.documents / "courrier.sqlite", ground.documents / "agenda.sqlite"
    make_database(good)
    make_database(bad)
    whole = bad.read_bytes()
    bad.write_bytes(whole[:4096] + b"\xff" * 4096 + whole[8192:])
    become(ground, kind="sqlite", paths=(str(good), str(bad)))
    answer = run_and_fail(ground, 5)
    assert [failure["what"] for failure in answer["failures"]] == [str(bad)]
    assert not answer["safety"]["safe"], "a backup without it is partial"
    assert len(answer["safety"]["counted"]) == 2, "and what could be saved is held"
    (ground.work / "copy.sqlite").write_bytes(held_by_the_blind_peer(ground, good))
    with closing(sqlite3.connect(ground.work / "copy.sqlite")) as copy:
        assert copy.execute("SELECT count(*) FROM courrier").fetchone() == (1000,)
    assert held_by_the_blind_peer(ground, bad) == bad.read_bytes(), "as it is: an expert may mend it"
    bad.write_bytes(whole)
    assert ground.save().failures == ()
    ground.assert_no_counter_twice()


def test_a_restore_of_a_database_that_was_not_copied_says_so_and_names_the_last_copy(ground: Ground) -> None:
    base, origin = ground.documents / "agenda.sqlite", ground.territory.nodes[ORIGIN]
    make_database(base)
    become(ground, kind="sqlite", paths=(str(base),))
    copied = ground.save().created.archive
    whole = base.read_bytes()
    base.write_bytes(whole[:4096] + b"\xff" * 4096 + whole[8192:])
    run_and_fail(ground, 5)
    for words in (("file", str(base)), ("all",)):
        to = ground.work / words[0]
        brought = origin.cli("restore", *words, "--service", SERVICE, "--to", str(to), check=False)
        said = brought.stdout.decode()
        assert brought.exit_code == 1, said
        assert "is the raw file of a database, not a clean copy, and may be inconsistent: " in said
        assert (to / str(base).lstrip("/")).read_bytes() == base.read_bytes(), "an expert may want it"
    line = said.partition("The last copy: ")[2].partition("\n")[0].replace("DIR", str(ground.work / "copy"))
    assert copied in line
    obeyed = origin.cli(*shlex.split(line)[3:], check=False)
    assert obeyed.exit_code == 0, obeyed.tail()
    with closing(sqlite3.connect(ground.work / "copy" / str(base).lstrip("/"))) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert [it for it, _ in ordered(ground, base, archive_of(ground, -1)).raw] == [str(base).lstrip("/")]
    assert ordered(ground, base, archive_of(ground, -1)).raw[0][1] == str(time_of(copied))
    assert ordered(ground, base, copied).raw == ()
    before = origin.cli("restore", "file", str(base), "--service", SERVICE, "--version", "2", "--to", str(to / "2"))
    assert b"torn" not in before.stdout


def test_a_database_server_that_does_not_answer_fails_the_run_and_not_the_files(ground: Ground) -> None:
    become(ground, kind="postgresql", database="mairie")
    attachment = ground.documents / "pièce jointe.pdf"
    attachment.write_bytes(b"%PDF")
    said = ground.territory.nodes[ORIGIN].cli("--json", "backup", "run", SERVICE, check=False)
    assert said.exit_code not in (0, 1, 70), said.tail()
    answer = json.loads(said.stdout)
    assert [failure["what"] for failure in answer["failures"]] == ["database mairie"]
    assert not answer["safety"]["safe"]
    assert len(answer["safety"]["counted"]) == 2
    assert held_by_the_blind_peer(ground, attachment) == b"%PDF"
    assert [entry["what"] for entry in ground.node().journal.events("source-failed")] == ["database mairie"]
    become(ground, kind="files", database="")
    assert ground.save().failures == ()


def test_nothing_that_could_be_read_seals_nothing(ground: Ground) -> None:
    """The disk of the documents is not mounted: an empty backup would be taken for the newest state."""
    ground.documents.rename(ground.work / "unmounted")
    said = ground.territory.nodes[ORIGIN].cli("backup", "run", SERVICE, check=False)
    assert said.exit_code == 3
    assert "does not exist" in said.tail()
    assert "Check that its disk is mounted." in said.tail()
    (ground.work / "unmounted").rename(ground.documents)
    assert str(ground.save().sealed.header.id) == "2.2"
    ground.assert_nothing_lost()
