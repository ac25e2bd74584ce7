"""A database that moves, on real clusters: made, filled from a dump, kept as it was left; who comes in by its door.

The account of PostgreSQL does the work, as on hosts; systemd and root's hands are not here.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

import appliance
from appliance.backup.sources import PostgresServer, postgresql
from appliance.errors import ApplianceError, NotFound
from appliance.failover.forms.form import SETTINGS
from appliance.host.command import Result, run
from appliance.host.postgresql import answers
from appliance.provision import failover
from appliance.territory.service_forms import database_socket, folder_of
from appliance_lab.processes.node import free_ports
from tests.integration.backup.postgresql_server import programs
from tests.pace import LONG
from tests.unit.provision.databases import ETAT_CIVIL, territory

DATABASE = ETAT_CIVIL.database
CODE = Path(appliance.__file__).parent.parent
SERVE_AT = CODE / "systemd/serve-at"
PROXY = "/usr/lib/systemd/systemd-socket-proxyd"
WORK = """
import sys; from pathlib import Path; from appliance.failover.forms.cluster import Cluster, carry_out
verb, folder, database, programs, offered = sys.argv[1:]
sys.exit(carry_out(verb, Cluster(Path(folder), database, Path(programs), Path(offered), f"{folder}/run")))
"""
SCHEMA = """
CREATE EXTENSION citext;
CREATE TABLE acte (id int PRIMARY KEY, nom text);
CREATE TABLE reserve (id int);
ALTER TABLE reserve ENABLE ROW LEVEL SECURITY;
INSERT INTO acte VALUES (1, 'Lefèvre'), (2, 'Éluard'), (3, 'Zola');
INSERT INTO reserve VALUES (7);
SELECT lo_from_bytea(4711, 'scan');
ALTER DATABASE etat_civil SET search_path = public;
ALTER ROLE etat_civil PASSWORD 'ouvert';
ALTER TABLE acte OWNER TO etat_civil;
"""
STARTS_WITHIN_SECONDS = LONG * 15.0

pytestmark = [pytest.mark.root, pytest.mark.skipif(not Path(PROXY).exists(), reason="systemd is not installed")]


@dataclass(frozen=True)
class ClusterWorld:
    """The folder of the database on one node; a server on it has the settings that the bundle gives."""

    root: Path

    @property
    def data(self) -> Path:
        return self.root / "cluster/data"

    @property
    def outcome(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.root / "outcome").read_bytes())
        return found

    @property
    def as_agent(self) -> PostgresServer:
        return PostgresServer(host=f"{self.root}/run", user="appliance")

    def work(self, verb: str) -> Result:
        argv = (sys.executable, "-c", WORK, verb, self.root, DATABASE, programs(), self.root / "offered")
        return by("postgres", *argv, env={"PYTHONPATH": str(CODE)})

    def offer(self, dump: Path, word: str = "w") -> None:
        shutil.rmtree(self.root / "offered", ignore_errors=True)
        shutil.copytree(dump, self.root / "offered/postgresql")
        (self.root / "offered/asked").write_text(word)
        for path in (self.root / "offered", *(self.root / "offered").rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)

    def settings(self) -> Path:
        """The unit's settings, with this folder in place of a host's. There may be no account `appliance` here."""
        (self.root / "run").mkdir(exist_ok=True)
        shutil.chown(self.root / "run", "postgres")
        for file in failover.part(territory(), "commune-a").files:
            text = file.text.replace(SETTINGS, str(self.root))
            text = text.replace(folder_of(ETAT_CIVIL), str(self.root / "cluster"))
            text = text.replace(database_socket(ETAT_CIVIL.name), str(self.root / "run"))
            text = text.replace("local all appliance peer", "local all appliance trust")
            (self.root / Path(file.path).name).write_text(text)
        return self.root / f"{ETAT_CIVIL.name}.postgresql.conf"

    @contextmanager
    def served(self) -> Iterator[subprocess.Popen[bytes]]:
        words = (programs() / "postgres", "-c", f"config_file={self.settings()}", "-c", "fsync=off")
        with subprocess.Popen(argv_by("postgres", *words), cwd="/", stderr=subprocess.DEVNULL) as server:
            try:
                until(lambda: self.answers())
                yield server
            finally:
                server.terminate()

    @contextmanager
    def door(self) -> Iterator[int]:
        """The port at which somebody hands on to the server who has no role in it."""
        [port] = free_ports("127.0.0.1", 1)
        words = (SERVE_AT, "127.0.0.1", port, PROXY, f"{self.root}/run/.s.PGSQL.5432")
        with subprocess.Popen(argv_by("nobody", *words), cwd="/") as door:
            try:
                until(lambda: self.answers(port))
                yield port
            finally:
                door.kill()

    def answers(self, port: int = 0) -> bool:
        async def ask() -> bool:
            own = f"{self.root}/run/.s.PGSQL.5432"
            to = asyncio.open_connection("127.0.0.1", port) if port else asyncio.open_unix_connection(own)
            return await answers(to, 1.0)

        return asyncio.run(ask())

    def sql(self, statements: str) -> str:
        """Return the output of psql for the superuser at the server's own socket."""
        argv = ("psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", f"{self.root}/run", "-d", DATABASE)
        return by("postgres", *argv, stdin=statements.encode(), check=True).stdout.decode().strip()


def argv_by(account: str, *words: object) -> tuple[str, ...]:
    return ("setpriv", f"--reuid={account}", "--clear-groups", *map(str, words))


def by(
    account: str, *words: object, env: dict[str, str] | None = None, stdin: bytes = b"", check: bool = False
) -> Result:
    return run(argv_by(account, *words), timeout_seconds=60, cwd="/", env=env, stdin=stdin, check=check)


def come_in(port: int, user: str, password: str) -> str:
    """Return what a program gets that comes by the forwarder."""
    argv = (
        "psql",
        "-XqAt",
        "-h",
        "127.0.0.1",
        "-p",
        port,
        "-U",
        user,
        "-d",
        DATABASE,
        "-c",
        "SELECT count(*) FROM acte",
    )
    return by("postgres", *argv, env={"PGPASSWORD": password}, check=True).stdout.decode().strip()


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def folder() -> Iterator[ClusterWorld]:
    """One with a short name, for a Unix socket lies in it."""
    root = Path(tempfile.mkdtemp(prefix="db"))
    root.chmod(0o755)
    shutil.chown(root, "postgres")
    try:
        yield ClusterWorld(root)
    finally:
        shutil.rmtree(root)


@pytest.fixture(scope="module")
def home() -> Iterator[ClusterWorld]:
    with folder() as made:
        assert made.work("make").exit_code == 0
        with made.served():
            made.sql(SCHEMA)
        yield made


@pytest.fixture
def elsewhere() -> Iterator[ClusterWorld]:
    with folder() as made:
        yield made


@pytest.fixture(scope="module")
def dump(home: ClusterWorld) -> Iterator[Path]:
    """The dump of a backup, by the role that only reads."""
    with tempfile.TemporaryDirectory() as place:
        with home.served():
            assert postgresql.dump(home.as_agent, DATABASE, Path(place, "postgresql")) == ()
        yield Path(place, "postgresql")


def test_one_that_is_there_is_not_made_again(home: ClusterWorld) -> None:
    before = home.data.stat().st_ino
    assert home.work("make").exit_code == 0
    assert home.data.stat().st_ino == before


def test_one_that_was_cut_while_another_took_its_place_is_not_made_empty(elsewhere: ClusterWorld) -> None:
    assert elsewhere.work("make").exit_code == 0
    elsewhere.data.rename(elsewhere.data.with_name("before"))
    assert elsewhere.work("make").exit_code == 0
    assert not elsewhere.data.exists()


def test_names_are_sorted_as_in_french(home: ClusterWorld) -> None:
    with home.served():
        assert home.sql("SELECT string_agg(nom, ' ' ORDER BY nom) FROM acte") == "Éluard Lefèvre Zola"


def test_who_comes_by_the_door_comes_in_with_a_password_and_as_nobody_who_reads_or_rules_all(
    home: ClusterWorld,
) -> None:
    with home.served(), home.door() as port:
        assert come_in(port, "etat_civil", "ouvert") == "3"
        with pytest.raises(ApplianceError, match="password authentication failed"):
            come_in(port, "etat_civil", "ferme")
        with pytest.raises(ApplianceError, match="Peer authentication failed"):
            come_in(port, "postgres", "ouvert")


def test_the_role_that_backs_up_reads_all_and_changes_nothing(home: ClusterWorld) -> None:
    with home.served():
        for statement in ("DELETE FROM acte", "CREATE TABLE t (i int)", "ALTER ROLE etat_civil PASSWORD 'x'"):
            with pytest.raises(ApplianceError, match=r"permission denied|must"):
                postgresql.carry_out(home.as_agent, DATABASE, statement)


def test_filled_elsewhere_it_has_its_rows_its_people_with_their_passwords_and_what_backs_it_up(
    dump: Path, elsewhere: ClusterWorld, tmp_path: Path
) -> None:
    elsewhere.offer(dump, "word")
    assert elsewhere.work("fill").exit_code == 0
    assert elsewhere.outcome == {"asked": "word", "error": ""}
    with elsewhere.served(), elsewhere.door() as port:
        assert come_in(port, "etat_civil", "ouvert") == "3"
        assert elsewhere.sql("SELECT id FROM reserve; SELECT convert_from(lo_get(4711), 'UTF8')") == "7\nscan"
        owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'etat_civil'"
        assert elsewhere.sql(owner) == "etat_civil"
        assert "search_path=public" in elsewhere.sql("SELECT setconfig FROM pg_db_role_setting WHERE setdatabase <> 0")
        assert postgresql.dump(elsewhere.as_agent, DATABASE, tmp_path / "again") == ()


def test_statistics_come_while_the_filled_database_serves_and_once(dump: Path, elsewhere: ClusterWorld) -> None:
    """A dump holds none, and no client waits for them: plans were made without until autovacuum came."""
    elsewhere.offer(dump)
    assert elsewhere.work("fill").exit_code == 0
    mark = elsewhere.data / "not-analysed"
    assert mark.exists()
    analysed = "SELECT count(*) FROM pg_stats WHERE schemaname = 'public' AND tablename = 'acte'"
    with elsewhere.served():
        assert elsewhere.sql(analysed) == "0"
        assert elsewhere.work("analyse").exit_code == 0
        assert elsewhere.sql(analysed) == "2"
    assert not mark.exists()


def test_an_extension_that_a_standby_lacks_is_told_with_what_to_install(dump: Path, elsewhere: ClusterWorld) -> None:
    elsewhere.offer(dump)
    file = elsewhere.root / "offered/postgresql/etat_civil.dump"
    whole = file.read_bytes()
    assert b"EXTENSION IF NOT EXISTS citext" in whole
    file.write_bytes(whole.replace(b"citext", b"citexu"))
    assert elsewhere.work("fill").exit_code != 0
    assert "this node lacks PostgreSQL's extension citexu" in elsewhere.outcome["error"]
    assert "apt-cache search postgresql citexu" in elsewhere.outcome["error"]


def test_what_lay_there_is_kept_beside_until_the_next_one(dump: Path, elsewhere: ClusterWorld) -> None:
    elsewhere.work("make")
    first = elsewhere.data.stat().st_ino
    elsewhere.offer(dump)
    assert elsewhere.work("fill").exit_code == 0
    assert elsewhere.data.with_name("before").stat().st_ino == first
    second = elsewhere.data.stat().st_ino
    assert elsewhere.work("fill").exit_code == 0
    assert elsewhere.data.with_name("before").stat().st_ino == second


def test_a_dump_that_is_none_changes_nothing_and_is_told(dump: Path, elsewhere: ClusterWorld) -> None:
    elsewhere.work("make")
    before = elsewhere.data.stat().st_ino
    elsewhere.offer(dump)
    (elsewhere.root / "offered/postgresql/etat_civil.dump").write_bytes(b"PGDMP and no more")
    assert elsewhere.work("fill").exit_code != 0
    assert "pg_restore failed" in elsewhere.outcome["error"]
    assert elsewhere.data.stat().st_ino == before
    assert sorted(it.name for it in (elsewhere.root / "cluster").iterdir()) == ["data"]


def test_a_command_of_psql_among_the_roles_is_refused_and_never_run(dump: Path, elsewhere: ClusterWorld) -> None:
    """Only the first line was dropped of a setting of several lines, of a role that is there already."""
    elsewhere.offer(dump)
    setting = f"ALTER ROLE postgres SET app.note TO '\n\\! touch {elsewhere.root}/run-by-psql\n';\n"
    with open(elsewhere.root / "offered/postgresql/roles.sql", "a") as roles:
        roles.write(setting)
    assert elsewhere.work("fill").exit_code != 0
    assert "roles.sql is not output of pg_dumpall" in elsewhere.outcome["error"]
    assert not (elsewhere.root / "run-by-psql").exists()
    assert not elsewhere.data.exists()


def test_a_dump_that_is_not_there_is_told(elsewhere: ClusterWorld, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    elsewhere.offer(tmp_path / "none")
    assert elsewhere.work("fill").exit_code == NotFound.exit_code
    assert "there is no dump of etat_civil here" in elsewhere.outcome["error"]


def test_what_was_written_before_the_power_went_is_in_the_dump_that_is_kept_and_the_cluster_stays_as_it_was_left(
    dump: Path, elsewhere: ClusterWorld
) -> None:
    elsewhere.offer(dump)
    elsewhere.work("fill")
    with elsewhere.served() as server:
        elsewhere.sql("INSERT INTO acte VALUES (4, 'Verlaine')")
        server.kill()
        server.wait()
    left = state(elsewhere.data)
    assert "in production" in left
    assert elsewhere.work("keep").exit_code == 0
    kept = elsewhere.root / "keeping"
    assert [it.name for it in kept.iterdir()] == ["postgresql"]
    listed = by("postgres", "pg_restore", "--data-only", "--file=-", kept / "postgresql/etat_civil.dump", check=True)
    assert "Verlaine" in listed.stdout.decode()
    assert state(elsewhere.data) == left


def state(data: Path) -> str:
    said = run((str(programs() / "pg_controldata"), str(data)), timeout_seconds=60, check=True)
    return said.stdout.decode()
