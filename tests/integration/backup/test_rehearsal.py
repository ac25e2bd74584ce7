"""A dump fills a real cluster that is thrown away: what comes of good ones and bad ones, and that nothing is left.

PostgreSQL does not run as root, so the account of PostgreSQL rehearses, as on hosts.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import appliance
from appliance.agent.act import perform
from appliance.agent.decisions import Drill
from appliance.backup.proofs.drill import drill
from appliance.backup.proofs.proofs import ROOM, load_proofs
from appliance.backup.proofs.rehearsal import Rehearsed, decode, untried
from appliance.backup.sources import PostgresServer, postgresql
from appliance.backup.writer import source_of, writer
from appliance.backup.writer.left_out_reasons import MAPPINGS
from appliance.host.command import run
from appliance.node.handle import Node
from appliance_lab.processes.territory import ProcessTerritory
from tests.integration.backup.postgresql_server import as_server_account, programs, sql
from tests.pace import LONG

CODE = Path(appliance.__file__).parent.parent
SERVICE, DATABASE = "docs-a", "etat_civil"
WORK = """
import json, sys
from dataclasses import asdict; from pathlib import Path; from appliance.backup.proofs import rehearsal
dumps, scratch, programs, limits = sys.argv[1:]
for name, value in json.loads(limits).items(): setattr(rehearsal, name, value)
print(json.dumps(asdict(rehearsal.rehearse(Path(dumps), "etat_civil", Path(scratch), Path(programs)))))
"""
SCHEMA = """
CREATE ROLE guichet LOGIN PASSWORD 'x';
CREATE EXTENSION hstore;
CREATE SCHEMA "l'été";
CREATE TABLE "l'été"."a ""b"" c" (id int, "FROM stdin;" text);
INSERT INTO "l'été"."a ""b"" c" SELECT n, E'\\n\\\\.\\n' FROM generate_series(1, 500) n;
CREATE TABLE acte (id int PRIMARY KEY, nom text COLLATE "C", faits hstore);
INSERT INTO acte SELECT n, n, 'a=>1' FROM generate_series(1, 3000) n;
CREATE TABLE mere (id int) PARTITION BY RANGE (id);
CREATE TABLE fille PARTITION OF mere FOR VALUES FROM (0) TO (10);
INSERT INTO mere VALUES (1), (2);
CREATE TABLE heritee () INHERITS (acte);
INSERT INTO heritee VALUES (1, 'a');
CREATE TABLE reserve (id int);
ALTER TABLE reserve ENABLE ROW LEVEL SECURITY;
ALTER TABLE acte OWNER TO guichet;
CREATE COLLATION tri (provider = libc, locale = 'C.utf8');
ALTER DATABASE etat_civil SET search_path = public;
"""
TABLES, ROWS = 5, 500 + 3000 + 2 + 1

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """One with a short name, for a Unix socket lies in it, that the account of PostgreSQL owns."""
    made = Path(tempfile.mkdtemp(prefix="pg"))
    shutil.chown(made, "postgres", "postgres")
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def source(folder: Path) -> Iterator[PostgresServer]:
    data = folder / "data"
    as_server_account("initdb", "-D", data, "--no-sync", "--auth=trust", "--username=postgres", "--locale=C.UTF-8")
    options = f"-c unix_socket_directories={folder} -c listen_addresses= -c fsync=off"
    as_server_account("pg_ctl", "-D", data, "-l", folder / "log", "-o", options, "-w", "start")
    try:
        server = PostgresServer(host=str(folder), user="postgres")
        sql(server, "postgres", f"CREATE DATABASE {DATABASE}")
        sql(server, DATABASE, SCHEMA)
        yield server
    finally:
        as_server_account("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")


@pytest.fixture(scope="module")
def dumped(source: PostgresServer, folder: Path) -> Path:
    postgresql.dump(source, DATABASE, folder / "dumped")
    return folder / "dumped"


@pytest.fixture
def dumps(dumped: Path) -> Iterator[Path]:
    """A copy to spoil, with room beside it for a cluster."""
    place = Path(tempfile.mkdtemp(prefix="pgd"))
    shutil.copytree(dumped, place / "postgresql")
    run(("chown", "-R", "postgres", str(place)), timeout_seconds=60, check=True)
    yield place / "postgresql"
    shutil.rmtree(place)


def argv_of(dumps: Path, scratch: Path, **limits: Any) -> tuple[str, ...]:
    words = (sys.executable, "-c", WORK, dumps, scratch, programs(), json.dumps(limits))
    return ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *map(str, words))


def rehearsed(dumps: Path, scratch: Path | None = None, **limits: Any) -> Rehearsed:
    argv = argv_of(dumps, scratch or scratch_of(dumps), **limits)
    said = run(argv, timeout_seconds=LONG * 60, cwd="/", env={"PYTHONPATH": str(CODE)}, check=True)
    return decode(json.loads(said.stdout))


def scratch_of(dumps: Path) -> Path:
    return dumps.parent / "scratch"


def working_below(folder: Path) -> list[int]:
    """The processes whose working folder lies in it, removed or not."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder) in os.readlink(process / "cwd"):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONG * 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def spoil(dumps: Path, name: str, before: bytes, after: bytes) -> None:
    """Change what stands in a dump; its numbers say how long."""
    assert len(before) == len(after)
    whole = (dumps / name).read_bytes()
    assert before in whole
    (dumps / name).write_bytes(whole.replace(before, after))


def test_a_good_dump_loads_with_every_row_and_leaves_nothing(dumps: Path) -> None:
    done = rehearsed(dumps)
    assert (done.done, done.wrong, done.told) == (True, (), ())
    assert (done.tables, done.rows) == (TABLES, ROWS)
    assert done.seconds > 0
    assert not scratch_of(dumps).exists()
    assert working_below(dumps.parent) == []


@pytest.mark.parametrize(
    ("before", "after", "lacks", "remedy"),
    [
        (b"hstore", b"hstorf", "extension hstorf", "apt-cache search postgresql hstorf"),
        (b"C.utf8", b"X.utf8", "locale X.utf8", "name X.utf8 in /etc/locale.gen"),
    ],
    ids=["an extension", "a locale"],
)
def test_what_this_node_lacks_is_one_sentence_with_what_to_install(
    dumps: Path, before: bytes, after: bytes, lacks: str, remedy: str
) -> None:
    spoil(dumps, f"{DATABASE}.dump", before, after)
    done = rehearsed(dumps)
    assert done.done
    (wrong,) = done.wrong
    assert wrong.startswith("it does not load here: this node lacks ")
    assert lacks in wrong
    assert remedy in wrong
    assert not scratch_of(dumps).exists()


def test_a_dump_that_pg_restore_reads_and_the_server_refuses_is_wrong(dumps: Path) -> None:
    """A drill that only reads the dump takes this one for good."""
    spoil(dumps, f"{DATABASE}.dump", b"CREATE TABLE public.acte", b"CREATE TABLF public.acte")
    run(("pg_restore", "--file=/dev/null", str(dumps / f"{DATABASE}.dump")), timeout_seconds=60, check=True)
    (wrong,) = rehearsed(dumps).wrong
    assert "syntax error" in wrong


def test_a_role_that_is_missing_from_the_backup_is_wrong(dumps: Path) -> None:
    """Its tables could be given to nobody, so a takeover would fail."""
    spoil(dumps, "roles.sql", b"CREATE ROLE guichet;", b"CREATE ROLE guichez;")
    (wrong,) = rehearsed(dumps).wrong
    assert 'role "guichet" does not exist' in wrong


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"EMPTY_BYTES": 1 << 60}, "more must be free"),
        ({"SPARE_BYTES": 1 << 60}, "more must be free"),
        ({"EMPTY_BYTES": 1000, "SIZE_MAX_TIMES": 0, "LOOK_EVERY_SECONDS": 0.01}, "it grew beyond the 1000 B"),
    ],
    ids=["no room to begin", "what must stay free", "it grows"],
)
def test_a_disk_without_room_is_told_as_not_proven_and_nothing_is_left(
    dumps: Path, limits: dict[str, Any], said: str
) -> None:
    done = rehearsed(dumps, **limits)
    assert (done.done, done.wrong) == (False, ())
    (told,) = done.told
    assert told.startswith("the database was not loaded into a PostgreSQL: ")
    assert said in told
    assert not scratch_of(dumps).exists()
    assert working_below(dumps.parent) == []


@pytest.mark.parametrize("began", ["data/PG_VERSION", "data/global/pg_control", "data/postmaster.opts"])
def test_what_one_that_was_killed_left_is_ended_and_removed_by_the_next(dumps: Path, began: str) -> None:
    """While initdb makes the cluster and once its server runs: each goes on alone."""
    argv = argv_of(dumps, scratch_of(dumps))
    with subprocess.Popen(argv, cwd="/", env={**os.environ, "PYTHONPATH": str(CODE)}, stdout=subprocess.PIPE) as killed:
        wait_for(lambda: (scratch_of(dumps) / began).exists())
        killed.kill()
    left = working_below(dumps.parent)
    assert left, "something goes on alone, so something is shown"
    done = rehearsed(dumps)
    assert (done.done, done.wrong, done.rows, done.told) == (True, (), ROWS, ())
    assert not scratch_of(dumps).exists()
    wait_for(lambda: not working_below(dumps.parent))


@pytest.fixture
def saved(territory: ProcessTerritory, source: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> ProcessTerritory:
    """docs-a is a database, which is backed up once."""
    plan = territory.territory
    service = replace(plan.services[SERVICE], kind="postgresql", database=DATABASE, paths=())
    territory.territory = replace(plan, services={**plan.services, SERVICE: service})
    territory.sign()
    monkeypatch.setattr(source_of, "_server", lambda node, service: source)
    assert writer.run(territory.open("commune-a"), SERVICE).failures == ()
    return territory


def by_postgres(node: Node, service: str, laid: Path) -> Rehearsed:
    """As a host does it: by an account that may not read the folder of the node's."""
    with tempfile.TemporaryDirectory(prefix="pgd") as place:
        shutil.move(laid / "postgresql", Path(place, "postgresql"))
        run(("chown", "-R", "postgres", place), timeout_seconds=60, check=True)
        return rehearsed(Path(place, "postgresql"))


def test_a_standby_loads_the_database_at_first_and_then_every_four_weeks(saved: ProcessTerritory) -> None:
    node = saved.open("hermitage")
    first = drill(node, SERVICE, by_postgres)
    assert (first.rehearsed, first.tables, first.rows, first.wrong, first.told) == (True, TABLES, ROWS, (), ())
    weekly = drill(node, SERVICE, never)
    assert (weekly.rehearsed, weekly.everything, weekly.told) == (False, True, ())
    proofs = load_proofs(node.service(SERVICE))
    assert (proofs.rehearsed, proofs.drilled) == (first, weekly)
    asked = drill(node, SERVICE, by_postgres, everything=True)
    assert asked.rehearsed
    said = node.journal.events("drilled")
    assert [(it["rehearsed"], it["rows"]) for it in said] == [(True, ROWS), (False, 0), (True, ROWS)]


def never(node: Node, service: str, laid: Path) -> Rehearsed:
    raise AssertionError("it was loaded lately")


def test_what_could_not_be_loaded_is_tried_again_the_next_week_and_told_each_time(saved: ProcessTerritory) -> None:
    node = saved.open("hermitage")
    for _ in range(2):
        done = drill(node, SERVICE, lambda node, service, laid: untried("no room."))
        assert (done.rehearsed, done.wrong) == (False, ())
        assert done.told == ("the database was not loaded into a PostgreSQL: no room.",)
    said = saved.nodes["hermitage"].cli("--json", "backup", "drill", SERVICE, check=False)
    assert said.exit_code == 1, "root may not run a server, and that is told"
    (told,) = json.loads(said.stdout)["told"]
    assert "cannot be run as root" in told
    assert not (node.service(SERVICE).root / ROOM / "scratch").exists()


def test_a_fault_of_loading_is_an_alarm_of_the_drill(saved: ProcessTerritory, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = Rehearsed(done=True, wrong=("it does not load here: this node lacks x.",))
    monkeypatch.setattr("appliance.failover.forms.database_work.rehearse", lambda node, service, laid: fault)
    done = perform(saved.open("hermitage"), Drill(SERVICE, "as the agent does"))
    assert done.alarms == ("in a restore drill, 1 item was not restored as it was saved.",)
    assert done.figures["wrong"] == 1


def test_what_the_backup_lacks_although_it_is_whole_is_told_by_the_drill(
    saved: ProcessTerritory, source: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql(source, DATABASE, "CREATE EXTENSION postgres_fdw; CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw")
    sql(source, DATABASE, "CREATE USER MAPPING FOR guichet SERVER s OPTIONS (password 'p')")
    sql(source, DATABASE, "CREATE ROLE lecture LOGIN; GRANT pg_read_all_data TO lecture; ALTER ROLE lecture BYPASSRLS")
    monkeypatch.setattr(source_of, "_server", lambda node, service: replace(source, user="lecture"))
    run_again = writer.run(saved.open("commune-a"), SERVICE)
    assert run_again.manifest.whole
    done = drill(saved.open("hermitage"), SERVICE, by_postgres)
    assert done.wrong == ()
    (told,) = done.told
    assert told == f"the backup of database etat_civil lacks: {MAPPINGS}1"
    sql(source, DATABASE, "DROP EXTENSION postgres_fdw CASCADE; DROP OWNED BY lecture; DROP ROLE lecture")
