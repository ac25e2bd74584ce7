"""Dump a PostgreSQL database with its own tools, and load a dump again.

The format is pg_dump's own archive, uncompressed, because borg compresses by itself and knows unchanged tables again:
of a dump of 150 MB with about 1 % of its rows changed, borg stored 2.3 MB anew; of plain SQL 7.0 MB, and of pg_dump's
compressed archive all 26 MB. It is one file, so it is whole or not there, and pg_restore can take one table out of it.
Roles are not part of a database: they lie beside it as plain SQL.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from appliance.backup.left_out import PASSWORDS
from appliance.backup.manifest import LeftOut
from appliance.backup.sources.model import PostgresServer
from appliance.errors import ApplianceError, Busy, NoSpace, NotFound, Refused, Unreachable
from appliance.host.command import CommandFailed, run
from appliance.host.files import make_private_folder
from appliance.units import HOUR, MINUTE

ROLES = "roles.sql"
_DUMP_TIMEOUT_SECONDS = 12 * HOUR
_ROLES_TIMEOUT_SECONDS = 10 * MINUTE
_PSQL = ("psql", "--no-psqlrc", "--quiet", "--no-align", "--tuples-only")
_JOBS = 2
"""What two cores load at once."""
_ABOUT_ROLE = re.compile(r'(?:CREATE ROLE|ALTER ROLE|COMMENT ON ROLE|GRANT .+ TO) (?P<role>"(?:[^"]|"")+"|[^\s;]+)')


def dump_file(folder: Path, database: str) -> Path:
    return folder / f"{database}.dump"


def dump(server: PostgresServer, database: str, folder: Path) -> tuple[LeftOut, ...]:
    """Write the dump of `database`, of one moment, and the server's roles to `folder`; both whole or neither.

    Return what the server's user may not read. Raise Unreachable when the server does not answer, Busy when a table
    stays locked, NoSpace, or ApplianceError with the words of PostgreSQL.
    """
    make_private_folder(folder)
    target, roles = dump_file(folder, database), folder / ROLES
    partial = target.with_name(target.name + ".partial")
    wait = f"--lock-wait-timeout={server.lock_wait_seconds * 1000}"
    try:
        words = ("pg_dump", "--format=custom", "--compress=0", wait, f"--file={partial}")
        _run(server, database, words, _DUMP_TIMEOUT_SECONDS)
        left_out = _dump_roles(server, database, roles)
        os.rename(partial, target)
    except ApplianceError:
        for path in (partial, roles):
            with suppress(FileNotFoundError):
                path.unlink()
        raise
    return left_out


def restore(server: PostgresServer, database: str, folder: Path, into: str) -> None:
    """Load the dump of `database` in `folder` as the new database `into`; roles that are missing are made first.

    Nothing is replaced: raise Refused when `into` exists. A restore that fails leaves no database behind.
    """
    source = _dump_in(folder, database)
    _make_missing_roles(server, (folder / ROLES).read_text())
    _create_database(server, into)
    try:
        words = ("pg_restore", "--exit-on-error", "--single-transaction", str(source))
        _run(server, into, words, _DUMP_TIMEOUT_SECONDS)
    except ApplianceError:
        _sql(server, f"DROP DATABASE {_identifier(into)}")
        raise


def recreate(server: PostgresServer, database: str, folder: Path) -> None:
    """Load the dump of `database` in `folder` under its own name, with its owner and its settings, into a new server.

    A server that this fails at is thrown away: it is half full.
    """
    source = _dump_in(folder, database)
    _make_missing_roles(server, (folder / ROLES).read_text())
    words = ("pg_restore", "--exit-on-error", "--create", f"--jobs={_JOBS}", str(source))
    _run(server, "postgres", words, _DUMP_TIMEOUT_SECONDS)


def create(server: PostgresServer, database: str) -> None:
    """Make `database`, empty, of an owner who has its name and no password yet."""
    _sql(server, f"CREATE ROLE {_identifier(database)} LOGIN")
    _sql(server, f"CREATE DATABASE {_identifier(database)} OWNER {_identifier(database)}")


def carry_out(server: PostgresServer, database: str, statements: str) -> None:
    """Run `statements`, all or the first ones up to one that fails; raise ApplianceError then."""
    words = (*_PSQL, "--set=ON_ERROR_STOP=1", "--file=-")
    _run(server, database, words, _ROLES_TIMEOUT_SECONDS, stdin=statements.encode())


def _dump_in(folder: Path, database: str) -> Path:
    source = dump_file(folder, database)
    if not source.is_file():
        raise NotFound(f"no dump of {database} is here.", where=str(folder))
    return source


def _make_missing_roles(server: PostgresServer, statements: str) -> None:
    existing = _sql(server, "SELECT rolname FROM pg_roles").splitlines()
    script = roles_to_make(statements, frozenset(existing)).encode()
    # Without ON_ERROR_STOP: a tablespace whose disk is not here fails, and stops pg_restore only when it is needed.
    _run(server, "postgres", (*_PSQL, "--file=-"), _ROLES_TIMEOUT_SECONDS, stdin=script)


def roles_to_make(statements: str, existing: frozenset[str]) -> str:
    """The `statements` of pg_dumpall but those about `existing` roles, whose rights and passwords stay as they are."""
    return "".join(
        line
        for line in statements.splitlines(keepends=True)
        if not (match := _ABOUT_ROLE.match(line)) or _plain(match["role"]) not in existing
    )


def _plain(identifier: str) -> str:
    return identifier[1:-1].replace('""', '"') if identifier.startswith('"') else identifier


def _create_database(server: PostgresServer, name: str) -> None:
    try:
        _sql(server, f"CREATE DATABASE {_identifier(name)} TEMPLATE template0")
    except ApplianceError as error:
        if "42P04" in str(error):  # duplicate_database, in whatever language the server speaks
            raise Refused(
                f"a database {name} exists already, and a restore replaces nothing.",
                remedy="Choose another name, compare, then rename them.",
            ) from error
        raise


def _dump_roles(server: PostgresServer, database: str, to: Path) -> tuple[LeftOut, ...]:
    words = ("pg_dumpall", "--globals-only", f"--file={to}", f"--database={database}")
    try:
        _run(server, database, words, _ROLES_TIMEOUT_SECONDS)
    except ApplianceError:
        # Not everybody may read passwords, and the user that dumps had better be no superuser.
        _run(server, database, (*words, "--no-role-passwords"), _ROLES_TIMEOUT_SECONDS)
        return (LeftOut(f"postgresql/{ROLES}", PASSWORDS),)
    return ()


def _sql(server: PostgresServer, statement: str) -> str:
    words = (*_PSQL, "--set=ON_ERROR_STOP=1", "--set=VERBOSITY=verbose", f"--command={statement}")
    return _run(server, "postgres", words, _ROLES_TIMEOUT_SECONDS)


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _run(
    server: PostgresServer, database: str, words: Sequence[str], timeout_seconds: float, stdin: bytes | None = None
) -> str:
    argv = (words[0], "--no-password", f"--dbname={connection(server, database)}", *words[1:])
    try:
        result = run(argv, timeout_seconds=timeout_seconds, env=environment(server), stdin=stdin, check=True)
    except CommandFailed as error:
        raise _named(error, database) from error
    return result.stdout.decode()


def connection(server: PostgresServer, database: str) -> str:
    """libpq's connection string. What stands in it goes before the service file, which goes before the environment."""
    port = str(server.port) if server.port else ""
    fields = {
        "dbname": database,
        "service": server.service,
        "host": server.host,
        "port": port,
        "user": server.user,
        "passfile": str(server.password_file or ""),
        "connect_timeout": "20",
    }
    return " ".join(f"{name}={_quoted(value)}" for name, value in fields.items() if value)


def environment(server: PostgresServer) -> dict[str, str]:
    """Messages in English, to be recognised; the service file, which has no place in a connection string."""
    return {"LC_ALL": "C.UTF-8"} | ({"PGSERVICEFILE": str(server.service_file)} if server.service_file else {})


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _named(error: CommandFailed, database: str) -> ApplianceError:
    """PostgreSQL's tools end with 1 for everything, so their words decide."""
    said = error.result.tail()
    if "No space left on device" in said:
        return NoSpace("the disk filled up while the database was dumped.", where=f"database {database}")
    if "Query was: LOCK TABLE" in said:
        return Busy(f"a table stayed locked: {said}", where=f"database {database}", remedy="Who alters it?")
    if "connection to server" in said and "FATAL" not in said:
        return Unreachable(f"the server does not answer: {said}", where=f"database {database}", remedy="Is it running?")
    return ApplianceError(f"{error.result.argv[0]} failed: {said}", where=f"database {database}")
