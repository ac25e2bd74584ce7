"""A PostgreSQL database is dumped whole and of one moment from a real server, and loads again replacing nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.backup.proofs.compare import read_postgresql_dump
from appliance.backup.sources import PostgresServer, Prepared, SourceSpec, postgresql, prepare
from appliance.backup.sources.roles import ROLES, roles_to_make
from appliance.backup.writer.left_out_reasons import MAPPINGS, WARNED
from appliance.backup.writer.manifest import Aged
from appliance.backup.writer.manifests import before_borg
from appliance.errors import ApplianceError, Busy, Unreachable
from appliance.host.command import run
from tests.integration.backup.postgresql_server import as_server_account, programs, sql

ACCOUNTS, TOTAL = 2000, 2_000_000
PASSWORD = "l'eau: vive \\ 41"  # libpq's own characters; in a pgpass file ":" and "\" are escaped

SCHEMA = f"""
CREATE ROLE guichet LOGIN PASSWORD 'x';
CREATE ROLE sauvegarde LOGIN PASSWORD 'y';
CREATE TABLE acte (id bigserial PRIMARY KEY, nom text NOT NULL, le date, piece bytea);
INSERT INTO acte (nom, le, piece)
    SELECT 'Lefèvre n° ' || n, DATE '1900-01-01' + n, decode(md5(n::text), 'hex') FROM generate_series(1, 3000) n;
CREATE TABLE compte (id int PRIMARY KEY, solde int NOT NULL, suite int NOT NULL DEFAULT 0);
INSERT INTO compte SELECT n, {TOTAL // ACCOUNTS} FROM generate_series(1, {ACCOUNTS}) n;
GRANT SELECT ON acte TO guichet;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO sauvegarde;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO sauvegarde;
ALTER TABLE compte OWNER TO guichet;
"""
# To another server, whose password only a superuser may read, and which is never asked here.
LINKED = """
CREATE EXTENSION postgres_fdw;
CREATE SERVER cadastre FOREIGN DATA WRAPPER postgres_fdw;
CREATE USER MAPPING FOR guichet SERVER cadastre OPTIONS (user 'g', password 'p');
CREATE SUBSCRIPTION suivi CONNECTION 'dbname=x' PUBLICATION y WITH (connect = false, slot_name = NONE);
"""
# Moves money between accounts: in any one moment the sum is TOTAL, in a dump of several moments it is not.
TRANSFERS = f"""
\\set source random(1, {ACCOUNTS})
\\set target random(1, {ACCOUNTS})
BEGIN;
UPDATE compte SET solde = solde - 7 WHERE id = :source;
UPDATE compte SET solde = solde + 7, suite = suite + 1 WHERE id = :target;
COMMIT;
"""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder with a short name (a Unix socket's is limited) that the account of the server owns."""
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[PostgresServer]:
    """A cluster of our own, with passwords, reached by its socket only, holding the database etat_civil."""
    data, log = folder / "data", folder / "log"
    secret, pgpass = folder / "secret", folder / "pgpass"
    secret.write_text(PASSWORD + "\n")
    secret.chmod(0o644)
    pgpass.write_text("*:*:*:postgres:" + PASSWORD.replace("\\", "\\\\").replace(":", "\\:") + "\n*:*:*:sauvegarde:y\n")
    pgpass.chmod(0o600)
    how = ("--auth=scram-sha-256", f"--pwfile={secret}", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8")
    as_server_account("initdb", "-D", data, "--no-sync", *how)
    options = f"-c unix_socket_directories={folder} -c listen_addresses= -c fsync=off"
    as_server_account("pg_ctl", "-D", data, "-l", log, "-o", options, "-w", "start")
    try:
        server = PostgresServer(host=str(folder), user="postgres", password_file=pgpass, lock_wait_seconds=30)
        sql(server, "postgres", "CREATE DATABASE etat_civil")
        sql(server, "etat_civil", SCHEMA)
        yield server
    finally:
        as_server_account("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")


@contextmanager
def prepared(
    server: PostgresServer, workdir: Path, database: str = "etat_civil", paths: tuple[str, ...] = ()
) -> Iterator[Prepared]:
    with prepare(SourceSpec("etat-civil", "postgresql", paths, database=database, server=server), workdir) as answer:
        yield answer


def load(server: PostgresServer, dumps: Path, into: str) -> None:
    """A dump beside the database that it was made of."""
    sql(server, "postgres", f"CREATE DATABASE {into}")
    words = ("pg_restore", "--exit-on-error", "-d", postgresql.connection(server, into), str(dumps / "etat_civil.dump"))
    run(words, timeout_seconds=60, check=True)


def digest(server: PostgresServer, database: str) -> str:
    return sql(server, database, "SELECT count(*), md5(string_agg(acte::text, ',' ORDER BY id)) FROM acte")


def test_a_dump_loads_again_as_a_new_database_with_the_same_rows_owners_and_rights(
    server: PostgresServer, tmp_path: Path
) -> None:
    with prepared(server, tmp_path) as answer:
        assert (answer.failures, answer.left_out) == ((), ())
        assert answer.paths == tuple(
            f"{tmp_path}/dumps/./postgresql/{name}" for name in ("etat_civil.dump", "roles.sql")
        )
        load(server, tmp_path / "dumps" / "postgresql", "exercice_1")
    assert digest(server, "exercice_1") == digest(server, "etat_civil")
    assert digest(server, "exercice_1").startswith("3000|")
    assert sql(server, "exercice_1", "SELECT has_table_privilege('guichet', 'acte', 'SELECT')") == "t"
    assert sql(server, "exercice_1", "SELECT tableowner FROM pg_tables WHERE tablename = 'compte'") == "guichet"


def test_dumps_are_private_and_gone_afterwards(server: PostgresServer, tmp_path: Path) -> None:
    with prepared(server, tmp_path / "work") as answer:
        assert (tmp_path / "work").stat().st_mode & 0o777 == 0o700
        assert all(Path(path).stat().st_size for path in answer.paths)
    assert list((tmp_path / "work").rglob("*.dump")) == list((tmp_path / "work").rglob("*.sql")) == []


def test_a_dump_taken_while_others_write_is_of_one_moment(server: PostgresServer, tmp_path: Path) -> None:
    script = tmp_path / "transfers.sql"
    script.write_text(TRANSFERS)
    words = (programs() / "pgbench", "-n", "-f", script, "-c", "2", "-t", "10000000")
    writer = subprocess.Popen(
        (*map(str, words), postgresql.connection(server, "etat_civil")),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        moments = []
        for number in range(3):
            postgresql.dump(server, "etat_civil", tmp_path / str(number))
        assert writer.poll() is None
    finally:
        writer.kill()
        writer.wait(30)
    for number in range(3):
        load(server, tmp_path / str(number), f"moment_{number}")
        solde, suite = sql(server, f"moment_{number}", "SELECT sum(solde), sum(suite) FROM compte").split("|")
        assert int(solde) == TOTAL
        moments.append(int(suite))
    assert moments == sorted(moments)
    assert moments[-1] > moments[0], "nobody wrote meanwhile, so nothing was shown"


def test_an_unchanged_database_gives_the_same_bytes_but_for_the_dumps_head(
    server: PostgresServer, tmp_path: Path
) -> None:
    dumps = []
    for number in range(2):
        postgresql.dump(server, "etat_civil", tmp_path / str(number))
        dumps.append((tmp_path / str(number) / "etat_civil.dump").read_bytes())
    first, second = dumps
    assert len(first) == len(second)
    assert sum(a != b for a, b in zip(first, second, strict=True)) < 16, "its time of day"
    assert "Lefèvre n° 1700".encode() in first, "uncompressed"


def test_no_password_is_in_any_argument_or_variable(server: PostgresServer) -> None:
    said = postgresql.connection(server, "etat_civil") + repr(postgresql.environment(server))
    assert PASSWORD not in said
    assert str(server.password_file) in said


def test_a_wrong_password_is_told_and_the_files_are_still_backed_up(server: PostgresServer, tmp_path: Path) -> None:
    (tmp_path / "pgpass").write_text("*:*:*:*:wrong\n")
    (tmp_path / "pgpass").chmod(0o600)
    (tmp_path / "pièces").mkdir()
    wrong = replace(server, password_file=tmp_path / "pgpass")
    with prepared(wrong, tmp_path / "work", paths=(str(tmp_path / "pièces"),)) as answer:
        assert answer.paths == (str(tmp_path / "pièces").lstrip("/"),)
        (failure,) = answer.failures
        assert failure.what == "database etat_civil"
        assert "password authentication failed" in str(failure.error)
        assert list((tmp_path / "work" / "dumps").rglob("*")) == [tmp_path / "work" / "dumps" / "postgresql"]


@pytest.mark.parametrize(
    ("database", "host", "error", "sentence"),
    [
        ("absente", "", ApplianceError, '"absente" does not exist'),
        ("etat_civil", "/nowhere", Unreachable, "does not answer"),
    ],
)
def test_what_fails_is_told_in_the_servers_words(
    server: PostgresServer, tmp_path: Path, database: str, host: str, error: type[ApplianceError], sentence: str
) -> None:
    with prepared(replace(server, host=host or server.host), tmp_path, database) as answer:
        assert answer.paths == ()
        assert type(answer.failures[0].error) is error
        assert sentence in str(answer.failures[0].error)


def test_a_table_that_stays_locked_ends_in_a_bounded_time(server: PostgresServer, tmp_path: Path) -> None:
    words = ("psql", "-XAt", "-d", postgresql.connection(server, "etat_civil"))
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdin.write("BEGIN;\nLOCK TABLE acte IN ACCESS EXCLUSIVE MODE;\n")
        holder.stdin.flush()
        assert [holder.stdout.readline() for _ in range(2)] == ["BEGIN\n", "LOCK TABLE\n"]
        with prepared(replace(server, lock_wait_seconds=1), tmp_path) as answer:
            assert isinstance(answer.failures[0].error, Busy)
        holder.stdin.close()


def test_a_user_that_may_only_read_tables_dumps_all_but_the_roles_passwords(
    server: PostgresServer, tmp_path: Path
) -> None:
    with prepared(replace(server, user="sauvegarde"), tmp_path) as answer:
        assert answer.failures == ()
        assert "passwords" in answer.left_out[0].reason
        roles = (tmp_path / "dumps" / "postgresql" / "roles.sql").read_text()
        assert "CREATE ROLE guichet" in roles
        assert "SCRAM" not in roles


def test_what_only_a_superuser_dumps_is_noted_and_the_dump_is_whole(server: PostgresServer, tmp_path: Path) -> None:
    """pg_dump warns of subscriptions, and says nothing at all of the options of user mappings that it may not see."""
    sql(server, "postgres", "CREATE DATABASE voirie")
    sql(server, "voirie", LINKED)
    with prepared(replace(server, user="sauvegarde"), tmp_path / "1", "voirie") as answer:
        said = {it.reason for it in answer.left_out if it.path == "postgresql/voirie.dump"}
        subscriptions = "subscriptions not dumped because current user is not a superuser"
        assert said == {f"{MAPPINGS}1", f"{WARNED}{subscriptions}"}
        (part,) = answer.parts
        assert part.manifest.state == "read"
        assert part.manifest.reason == f"{MAPPINGS}1; pg_dump warned, 1 time"
        assert before_borg(answer, Aged(0, "", "")).whole
    with prepared(server, tmp_path / "2", "voirie") as answer:
        assert (answer.left_out, answer.parts[0].manifest.reason) == ((), "")


def test_the_service_file_says_where_and_never_which_database(server: PostgresServer, tmp_path: Path) -> None:
    services = tmp_path / "services"
    services.write_text(
        f"[mairie]\nhost={server.host}\nuser=postgres\ndbname=postgres\npassfile={server.password_file}\n"
    )
    by_name = PostgresServer(service="mairie", service_file=services)
    postgresql.dump(by_name, "etat_civil", tmp_path / "dump")
    read_postgresql_dump(postgresql.dump_file(tmp_path / "dump", "etat_civil"))
    assert "Lefèvre".encode() in (tmp_path / "dump" / "etat_civil.dump").read_bytes()


def test_roles_with_odd_names_and_settings_are_made_again(server: PostgresServer, folder: Path, tmp_path: Path) -> None:
    """As pg_dumpall writes them: settings of several lines, quotes, backslashes, memberships."""
    odd = "agent d'été \"; x"
    name = '"' + odd.replace('"', '""') + '"'
    note = "l'été\n\\! touch /nowhere\n;\\"
    quoted = note.replace("'", "''")
    sql(server, "postgres", f"CREATE ROLE {name} LOGIN PASSWORD 'z' CONNECTION LIMIT 3; GRANT guichet TO {name}")
    sql(server, "postgres", f'ALTER ROLE {name} SET search_path TO public, "a b"')
    sql(server, "postgres", f"ALTER ROLE {name} SET app.note TO '{quoted}'")
    postgresql.dump(server, "etat_civil", tmp_path)
    made = roles_to_make((tmp_path / ROLES).read_bytes(), frozenset({"postgres"}))
    sql(server, "postgres", f"DROP ROLE {name}")
    present = ("CREATE ROLE guichet ;\n", "CREATE ROLE sauvegarde ;\n")
    sql(server, "postgres", made.decode().replace(present[0], "").replace(present[1], ""))
    of = "WHERE rolname = '" + odd.replace("'", "''") + "'"
    assert sql(server, "postgres", f"SELECT rolpassword LIKE 'SCRAM%', rolconnlimit FROM pg_authid {of}") == "t|3"
    settings = sql(server, "postgres", f"SELECT array_to_string(rolconfig, '|') FROM pg_roles {of}")
    assert settings == f'search_path=public, "a b"|app.note={note}'
    assert sql(server, "postgres", f"SELECT pg_has_role(oid, 'guichet', 'MEMBER') FROM pg_roles {of}") == "t"
