"""Dump a PostgreSQL database with its own tools, and load a dump again.

The format is pg_dump's own archive, uncompressed, because borg compresses by itself and knows unchanged tables again:
of a dump of 150 MB with about 1 % of its rows changed, borg stored 2.3 MB again; of plain SQL 7.0 MB, and of pg_dump's
compressed archive all 26 MB. It is one file, so it is whole or not there, and pg_restore can take one table out of it.
Roles are not part of a database: they are beside it as plain SQL.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from appliance.backup.sources.model import PostgresServer
from appliance.backup.sources.roles import ROLES, roles_to_make
from appliance.backup.writer.left_out_reasons import MAPPINGS, PASSWORDS, WARNED
from appliance.backup.writer.manifest import LeftOut
from appliance.errors import ApplianceError, Busy, NoSpace, NotFound, Unreachable
from appliance.host.command import CommandFailed, Result, run
from appliance.host.files import make_private_folder
from appliance.units import HOUR, MINUTE

_DUMP_TIMEOUT_SECONDS = 12 * HOUR
_ROLES_TIMEOUT_SECONDS = 10 * MINUTE
_PSQL = ("psql", "--no-psqlrc", "--quiet", "--no-align", "--tuples-only")
_WARNING = "pg_dump: warning: "
# The view shows no options to who may not see them, and so pg_dump takes a mapping for one that has none.
_HIDDEN_MAPPINGS = """
SELECT count(*) FROM pg_catalog.pg_user_mappings WHERE umoptions IS NULL
AND NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)
"""
_EXTENSION = re.compile(r'extension "([\w-]{1,63})" is not available')
_LOCALES = (
    re.compile(r'could not create locale "([\w.@-]{1,64})"'),
    re.compile(r'invalid (?:LC_COLLATE |LC_CTYPE )?locale name: "([\w.@-]{1,64})"'),
    re.compile(r'collation "(?:pg_catalog\.)?([\w.@-]{1,64})" for encoding "\w+" does not exist'),
)
_ERRORS_MAX = 3
_JOBS = 2
"""As many as two cores load at once."""


def dump_file(folder: Path, database: str) -> Path:
    return folder / f"{database}.dump"


def dump(server: PostgresServer, database: str, folder: Path) -> tuple[LeftOut, ...]:
    """Write the dump of `database`, of one moment, and the server's roles to `folder`; both whole or neither.

    Return what the server's user may not dump. Raise Unreachable when the server does not answer, Busy when a table
    stays locked, NoSpace, or ApplianceError with the words of PostgreSQL.
    """
    make_private_folder(folder)
    target, roles = dump_file(folder, database), folder / ROLES
    partial = target.with_name(target.name + ".partial")
    wait = f"--lock-wait-timeout={server.lock_wait_seconds * 1000}"
    try:
        words = ("pg_dump", "--format=custom", "--compress=0", wait, f"--file={partial}")
        dumped = _run(server, database, words, _DUMP_TIMEOUT_SECONDS)
        left_out = (*_notes(server, database, dumped), *_dump_roles(server, database, roles))
        os.rename(partial, target)
    except ApplianceError:
        for path in (partial, roles):
            with suppress(FileNotFoundError):
                path.unlink()
        raise
    return left_out


def recreate(server: PostgresServer, database: str, folder: Path) -> None:
    """Load the dump of `database` in `folder` under its own name, with its owner and its settings, into a new server.

    A server that this fails at is thrown away: it is half full.
    """
    source = _dump_in(folder, database)
    _make_missing_roles(server, (folder / ROLES).read_bytes())
    words = ("pg_restore", "--exit-on-error", "--no-tablespaces", "--create", f"--jobs={_JOBS}", str(source))
    _run(server, "postgres", words, _DUMP_TIMEOUT_SECONDS)


def analyse(server: PostgresServer, database: str) -> None:
    """Make the statistics that plans are made by, coarse ones first: a dump holds none."""
    _run(server, database, ("vacuumdb", "--quiet", "--analyze-in-stages"), _DUMP_TIMEOUT_SECONDS)


def query(server: PostgresServer, database: str, statement: str, *, seconds_max: float = _ROLES_TIMEOUT_SECONDS) -> str:
    """Return the output of psql for one statement of ours, a row a line."""
    words = (*_PSQL, "--set=ON_ERROR_STOP=1", "--set=VERBOSITY=verbose", f"--command={statement}")
    return _run(server, database, words, seconds_max).stdout.decode()


def create(server: PostgresServer, database: str) -> None:
    """Make `database`, empty, of an owner who has its name and no password yet."""
    query(server, "postgres", f"CREATE ROLE {_identifier(database)} LOGIN")
    query(server, "postgres", f"CREATE DATABASE {_identifier(database)} OWNER {_identifier(database)}")


def carry_out(server: PostgresServer, database: str, statements: str) -> None:
    """Run `statements`, all or the first ones up to one that fails; raise ApplianceError then."""
    words = (*_PSQL, "--set=ON_ERROR_STOP=1", "--file=-")
    _run(server, database, words, _ROLES_TIMEOUT_SECONDS, stdin=statements.encode())


def _dump_in(folder: Path, database: str) -> Path:
    source = dump_file(folder, database)
    if not source.is_file():
        raise NotFound(f"there is no dump of {database} here.", where=str(folder))
    return source


def _make_missing_roles(server: PostgresServer, statements: bytes) -> None:
    existing = query(server, "postgres", "SELECT rolname FROM pg_roles").splitlines()
    script = roles_to_make(statements, frozenset(existing))
    # Without ON_ERROR_STOP: a setting of an extension that is missing fails, and stops pg_restore only where needed.
    _run(server, "postgres", (*_PSQL, "--file=-"), _ROLES_TIMEOUT_SECONDS, stdin=script)


def _notes(server: PostgresServer, database: str, dumped: Result) -> tuple[LeftOut, ...]:
    """Return pg_dump's warnings about a dump that is whole, and the one it does not give: options that it may not see
    are omitted."""
    of = f"postgresql/{dump_file(Path(), database).name}"
    hidden = int(query(server, database, _HIDDEN_MAPPINGS))
    lines = dumped.stderr.decode(errors="replace").splitlines()
    said = [WARNED + line.removeprefix(_WARNING) for line in lines if line.startswith(_WARNING)]
    return tuple(LeftOut(of, reason) for reason in ([f"{MAPPINGS}{hidden}"] if hidden else []) + said)


def _dump_roles(server: PostgresServer, database: str, to: Path) -> tuple[LeftOut, ...]:
    words = ("pg_dumpall", "--globals-only", "--encoding=UTF8", f"--file={to}", f"--database={database}")
    try:
        _run(server, database, words, _ROLES_TIMEOUT_SECONDS)
    except ApplianceError:
        # Not everybody may read passwords, and the user that dumps had better be no superuser.
        _run(server, database, (*words, "--no-role-passwords"), _ROLES_TIMEOUT_SECONDS)
        return (LeftOut(f"postgresql/{ROLES}", PASSWORDS),)
    return ()


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _run(
    server: PostgresServer, database: str, words: Sequence[str], timeout_seconds: float, stdin: bytes | None = None
) -> Result:
    argv = (words[0], "--no-password", f"--dbname={connection(server, database)}", *words[1:])
    try:
        return run(argv, timeout_seconds=timeout_seconds, env=environment(server), stdin=stdin, check=True)
    except CommandFailed as error:
        raise _named(error, database) from error


def connection(server: PostgresServer, database: str) -> str:
    """libpq's connection string. Its fields go before the service file, which goes before the environment."""
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


def lacking(said: str) -> tuple[str, str] | None:
    """Return what the machine lacks by PostgreSQL's words, and how to install it; None where it is something else."""
    if found := _EXTENSION.search(said):
        name = found[1]
        return (
            f"this node lacks PostgreSQL's extension {name}, which the dump needs.",
            f"Install its package: apt-cache search postgresql {name}",
        )
    if found := next(filter(None, (it.search(said) for it in _LOCALES)), None):
        return (
            f"this node lacks the locale {found[1]}, which the dump uses for sorting.",
            f"As root: apt-get install locales, then name {found[1]} in /etc/locale.gen and type locale-gen",
        )
    return None


def _named(error: CommandFailed, database: str) -> ApplianceError:
    """PostgreSQL's tools exit with 1 for everything, so their words decide."""
    said = error.result.tail()
    if lacks := lacking(error.result.stderr.decode(errors="replace")):
        return NotFound(lacks[0], where=f"database {database}", remedy=lacks[1])
    if "No space left on device" in said:
        return NoSpace("the disk filled up while the database was dumped.", where=f"database {database}")
    if "Query was: LOCK TABLE" in said:
        return Busy(f"a table stayed locked: {said}", where=f"database {database}", remedy="Find out what alters it.")
    if "connection to server" in said and "FATAL" not in said:
        return Unreachable(
            f"the server does not answer: {said}", where=f"database {database}", remedy="Check that it is running."
        )
    words = _errors(error.result) or said
    return ApplianceError(f"{error.result.argv[0]} failed: {words}", where=f"database {database}")


def _errors(result: Result) -> str:
    """Return the errors of the server; pg_restore repeats the whole statement after each."""
    lines = (line.strip() for line in result.stderr.decode(errors="replace").splitlines())
    return " / ".join([line for line in lines if "ERROR:" in line][:_ERRORS_MAX])
