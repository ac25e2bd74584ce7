"""PostgreSQL as Debian has it: its programs, run by the account that may, and statements for a server."""

from __future__ import annotations

import os
from pathlib import Path

from appliance.backup.sources import PostgresServer, postgresql
from appliance.host.command import run


def programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    assert found, "PostgreSQL is missing: apt-get install postgresql"
    return found[-1].parent


def as_server_account(*words: str | Path) -> None:
    """PostgreSQL refuses to run as root."""
    account = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups") if os.geteuid() == 0 else ()
    run((*account, str(programs() / words[0]), *map(str, words[1:])), timeout_seconds=60, cwd="/", check=True)


def sql(server: PostgresServer, database: str, statements: str) -> str:
    """Return the output of psql for `statements`, one row a line."""
    words = ("psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", postgresql.connection(server, database))
    return run(words, timeout_seconds=60, stdin=statements.encode(), check=True).stdout.decode().strip()
