"""What a takeover offers to the account of PostgreSQL, and what it makes of the word that is left; hands are played."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from appliance.agent import databases
from appliance.agent.host_services import Ground
from appliance.backup.node import Node
from appliance.errors import ApplianceError, Refused
from appliance.host.layout import ServiceLayout

SERVICE = "etat-civil"


class Played:
    """One node: the folder of its service, that of its databases, and hands that do `work` when they are asked."""

    def __init__(self, root: Path) -> None:
        self.service = ServiceLayout(root / "services" / SERVICE)
        self.offered = self.service.root / "offered"
        self.databases = root / "databases"
        (self.databases / SERVICE).mkdir(parents=True)
        self.ground = Ground(root / "served.json", str(root / "cgroups"), root / "hands", self.databases)
        self.node = cast(Node, SimpleNamespace(service=lambda name: self.service))
        self.laid = root / "laid"
        (self.laid / "postgresql").mkdir(parents=True, mode=0o700)
        (self.laid / "postgresql/etat_civil.dump").write_text("rows")
        (self.laid / "postgresql/etat_civil.dump").chmod(0o600)

    def leave_word(self, error: str = "", asked: str | None = None) -> None:
        word = (self.offered / "asked").read_text() if asked is None else asked
        (self.databases / SERVICE / "outcome").write_text(json.dumps({"asked": word, "error": error}))

    @contextmanager
    def hands(self, work: Callable[[str], None]) -> Iterator[None]:
        def serve() -> None:
            line, _ = listening.accept()
            with line, line.makefile("rw") as file:
                work(json.loads(file.readline())["verb"])
                file.write("{}\n")

        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(self.ground.socket))
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
        databases.fill(played.node, SERVICE, played.laid, played.ground)
    assert seen == [("fill", "rows", 0o644, 0o755)]
    assert played.service.root.stat().st_mode & 0o777 == 0o700, "nobody else enters the folder above"
    assert not played.offered.exists()


def test_what_postgresql_says_of_a_dump_reaches_who_reads_the_status(played: Played) -> None:
    hands = played.hands(lambda verb: played.leave_word("pg_restore failed: no space"))
    with hands, pytest.raises(Refused, match="fill etat-civil: pg_restore failed: no space"):
        databases.fill(played.node, SERVICE, played.laid, played.ground)


def test_the_word_of_an_earlier_one_does_not_count(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "SILENT_SECONDS_MAX", 0.3)
    hands = played.hands(lambda verb: played.leave_word(asked="earlier"))
    with hands, pytest.raises(ApplianceError, match=r"database-fill@etat-civil.service ended without a word"):
        databases.fill(played.node, SERVICE, played.laid, played.ground)


def test_an_archive_without_a_dump_is_refused_before_anything_is_asked(played: Played) -> None:
    (played.laid / "postgresql").rename(played.laid / "other")
    with pytest.raises(Refused, match="holds no dump"):
        databases.fill(played.node, SERVICE, played.laid, played.ground)


def test_the_dump_of_what_was_left_is_copied_to_the_branch(played: Played, tmp_path: Path) -> None:
    def work(verb: str) -> None:
        kept = played.databases / SERVICE / "keeping/postgresql"
        kept.mkdir(parents=True)
        (kept / "etat_civil.dump").write_text(verb)
        played.leave_word()

    with played.hands(work):
        databases.keep(played.node, SERVICE, tmp_path / "branch", played.ground)
    assert (tmp_path / "branch/etat_civil.dump").read_text() == "keep"
