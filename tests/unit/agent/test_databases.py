"""A takeover offers files to the account of PostgreSQL, and reads the word that it leaves; the privileged helper is
played."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from appliance.backup.proofs.rehearsal import Rehearsed
from appliance.backup.sources import own_server
from appliance.errors import ApplianceError, Refused
from appliance.failover.forms import database_work
from appliance.failover.forms.privileged_client import HelperPaths
from appliance.host.layout import ServiceLayout
from appliance.node.handle import Node

SERVICE = "etat-civil"


class Played:
    """One node: the folder of its service, that of its databases, and hands that do `work` when they are asked."""

    def __init__(self, root: Path) -> None:
        self.service = ServiceLayout(root / "services" / SERVICE)
        self.offered = self.service.root / "offered"
        self.databases = root / "databases"
        (self.databases / SERVICE).mkdir(parents=True)
        self.paths = HelperPaths(root / "served.json", str(root / "cgroups"), root / "hands", self.databases)
        self.node = cast(Node, SimpleNamespace(service=lambda name: self.service))
        self.laid = root / "laid"
        (self.laid / "postgresql").mkdir(parents=True, mode=0o700)
        (self.laid / "postgresql/etat_civil.dump").write_text("rows")
        (self.laid / "postgresql/etat_civil.dump").chmod(0o600)

    def leave_word(
        self, error: str = "", asked: str | None = None, at: str = SERVICE, offered: Path | None = None, **more: object
    ) -> None:
        word = ((offered or self.offered) / "asked").read_text() if asked is None else asked
        (self.databases / at).mkdir(parents=True, exist_ok=True)
        (self.databases / at / "outcome").write_text(json.dumps({"asked": word, "error": error, **more}))

    @contextmanager
    def hands(self, work: Callable[[str], None]) -> Iterator[None]:
        def serve() -> None:
            line, _ = listening.accept()
            with line, line.makefile("rw") as file:
                work(json.loads(file.readline())["verb"])
                file.write("{}\n")

        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(self.paths.socket))
            listening.listen()
            thread = threading.Thread(target=serve)
            thread.start()
            yield
            thread.join()


@pytest.fixture
def played(tmp_path: Path) -> Played:
    return Played(tmp_path)


def test_the_dump_is_offered_to_be_read_and_taken_away_when_the_database_is_filled(played: Played) -> None:
    seen = []

    def work(verb: str) -> None:
        dump = played.offered / "postgresql/etat_civil.dump"
        seen.append((verb, dump.read_text(), dump.stat().st_mode & 0o777, dump.parent.stat().st_mode & 0o777))
        played.leave_word()

    with played.hands(work):
        database_work.fill(played.node, SERVICE, played.laid, played.paths)
    assert seen == [("fill", "rows", 0o644, 0o755)]
    assert played.service.root.stat().st_mode & 0o777 == 0o700, "nobody else enters the folder above"
    assert not played.offered.exists()


@pytest.fixture
def of_a_host(played: Played, monkeypatch: pytest.MonkeyPatch) -> Played:
    service = SimpleNamespace(database="etat_civil")
    bundle = SimpleNamespace(terms=lambda name: SimpleNamespace(service=service))
    played.node = cast(
        Node,
        SimpleNamespace(service=lambda name: played.service, layout=SimpleNamespace(is_this_host=True), bundle=bundle),
    )
    monkeypatch.setattr(own_server, "PROGRAMS", played.laid)
    return played


def test_a_drill_on_a_host_is_the_work_of_a_unit_that_may_read_the_dump_alone(of_a_host: Played) -> None:
    done = Rehearsed(True, 3, 12, 1.5)
    seen = []

    def work(verb: str) -> None:
        offered = of_a_host.service.root / "rehearsing"
        seen.append((verb, (offered / "database").read_text(), (offered / "postgresql/etat_civil.dump").read_text()))
        of_a_host.leave_word(at=".rehearsals/etat-civil", offered=offered, rehearsed=asdict(done))

    with of_a_host.hands(work):
        assert database_work.rehearse(of_a_host.node, SERVICE, of_a_host.laid, of_a_host.paths) == done
    assert seen == [("rehearse", "etat_civil", "rows")]
    assert not (of_a_host.service.root / "rehearsing/postgresql").exists()


def test_a_drill_whose_unit_ends_without_a_word_says_that_nothing_was_loaded(
    of_a_host: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_work, "SILENT_SECONDS_MAX", 0.3)
    with of_a_host.hands(lambda verb: None):
        done = database_work.rehearse(of_a_host.node, SERVICE, of_a_host.laid, of_a_host.paths)
    assert (done.done, done.wrong) == (False, ())
    assert "appliance-database-rehearse@etat-civil.service ended without output" in done.told[0]
    assert not (of_a_host.service.root / "rehearsing/postgresql").exists()


def test_a_drill_does_not_begin_while_a_takeover_fills_the_database(of_a_host: Played) -> None:
    """The unit of either ends that of the other: the takeover would have been over, and its service down."""
    work = Path(of_a_host.paths.cgroups) / "appliance-database-fill@etat-civil.service"
    work.mkdir(parents=True)
    (work / "cgroup.events").write_text("populated 1\n")
    done = database_work.rehearse(of_a_host.node, SERVICE, of_a_host.laid, of_a_host.paths)
    assert (done.done, done.wrong) == (False, ())
    assert "a takeover is loading etat-civil now. Drill again once it is served." in done.told[0]


def test_a_host_without_postgresql_asks_nobody_and_says_what_is_missing(
    of_a_host: Played, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(own_server, "PROGRAMS", tmp_path / "none")
    done = database_work.rehearse(of_a_host.node, SERVICE, of_a_host.laid, of_a_host.paths)
    assert "apt-get install postgresql" in done.told[0]


def test_what_postgresql_says_of_a_dump_reaches_who_reads_the_status(played: Played) -> None:
    hands = played.hands(lambda verb: played.leave_word("pg_restore failed: no space"))
    with hands, pytest.raises(Refused, match="fill etat-civil: pg_restore failed: no space"):
        database_work.fill(played.node, SERVICE, played.laid, played.paths)


def test_the_word_of_an_earlier_one_does_not_count(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_work, "SILENT_SECONDS_MAX", 0.3)
    hands = played.hands(lambda verb: played.leave_word(asked="earlier"))
    with hands, pytest.raises(ApplianceError, match=r"database-fill@etat-civil.service ended without output"):
        database_work.fill(played.node, SERVICE, played.laid, played.paths)


def test_an_archive_without_a_dump_is_refused_before_anything_is_asked(played: Played) -> None:
    (played.laid / "postgresql").rename(played.laid / "other")
    with pytest.raises(Refused, match="contains no dump"):
        database_work.fill(played.node, SERVICE, played.laid, played.paths)


def test_the_dump_of_what_was_left_is_copied_to_the_branch(played: Played, tmp_path: Path) -> None:
    def work(verb: str) -> None:
        kept = played.databases / SERVICE / "keeping/postgresql"
        kept.mkdir(parents=True)
        (kept / "etat_civil.dump").write_text(verb)
        played.leave_word()

    with played.hands(work):
        database_work.keep(played.node, SERVICE, tmp_path / "branch", played.paths)
    assert (tmp_path / "branch/etat_civil.dump").read_text() == "keep"
