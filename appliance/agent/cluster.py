"""The cluster of a database that moves, for the account of PostgreSQL: `python3 -m appliance.agent.cluster`.

    cluster.py make SERVICE DATABASE    an empty one, where there is none
    cluster.py fill SERVICE DATABASE    another one from the dump that the program that serves offers
    cluster.py keep SERVICE DATABASE    a dump of the one that was left here

FOLDER/cluster holds data/, which a server runs on, and before/, what it replaced; FOLDER/keeping is what was kept;
FOLDER/outcome says how the last one that was asked for went, with the word by which it was asked.

Invariant: data/ is a whole cluster at rest, or one that a server ran on. Another one is made beside it, brought to rest
and to the disk, and only then takes its place.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from appliance.backup.sources import PostgresServer, postgresql
from appliance.errors import ApplianceError
from appliance.host.command import run
from appliance.host.files import fsync_folder, write_atomic
from appliance.territory.served import DATABASE, database_folder
from appliance.units import HOUR, MINUTE

PROGRAMS = Path("/usr/lib/postgresql/17/bin")
"""Debian 13's."""
OFFERED = Path("/srv/offered")
"""As the units see it: the folder of the program that serves, with the word of whoever asks and perhaps a dump."""
ASKED, DUMP, OUTCOME = "asked", "postgresql", "outcome"
START_SECONDS_MAX = HOUR  # one that lost its power comes to rest first
COPY_SECONDS_MAX = 4 * HOUR
# French order, by rules that are part of PostgreSQL's own libraries and not of the system's locales.
_NEW = ("--encoding=UTF8", "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=fr", "--data-checksums")
# Backups read everything, the passwords of roles too, without which nobody could come in elsewhere, and change nothing.
# There is no right to read all large objects: only that nobody asks for it, which lets them be written too.
_PERMIT = """
DO $$BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'appliance') THEN CREATE ROLE appliance; END IF; END$$;
ALTER ROLE appliance LOGIN BYPASSRLS;
ALTER ROLE appliance SET lo_compat_privileges = on;
GRANT pg_read_all_data TO appliance;
GRANT SELECT ON pg_catalog.pg_authid TO appliance;
"""


@dataclass(frozen=True)
class Cluster:
    """`programs`: where PostgreSQL's lie; `offered`: see OFFERED."""

    folder: Path
    database: str
    programs: Path = PROGRAMS
    offered: Path = OFFERED

    @property
    def data(self) -> Path:
        return self.folder / "cluster" / "data"

    @property
    def before(self) -> Path:
        return self.folder / "cluster" / "before"

    def make(self) -> None:
        if not self.data.exists() and not self.before.exists():
            self._replace(lambda server: postgresql.create(server, self.database))

    def fill(self) -> None:
        """What lay here stays beside until the next one is filled."""
        self._replace(lambda server: postgresql.recreate(server, self.database, self.offered / DUMP))
        shutil.rmtree(self.folder / "keeping", ignore_errors=True)

    def keep(self) -> None:
        """Of a copy: where it lies it is read-only, and may need to come to rest first."""
        kept = self.folder / "keeping"
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(mode=0o700)
        copy = kept / "data"
        run(
            ("cp", "--recursive", "--reflink=auto", str(self.data), str(copy)),
            timeout_seconds=COPY_SECONDS_MAX,
            check=True,
        )
        (copy / "postmaster.pid").unlink(missing_ok=True)
        with self._running(copy) as server:
            postgresql.dump(server, self.database, kept / DUMP)
        shutil.rmtree(copy)

    def _replace(self, load: Callable[[PostgresServer], None]) -> None:
        new = self.data.with_name("filling")
        shutil.rmtree(new, ignore_errors=True)
        new.parent.mkdir(mode=0o700, exist_ok=True)
        try:
            self._initdb(new, "--username=postgres", "--auth=peer", "--no-sync", *_NEW)
            with self._running(new) as server:
                load(server)
                postgresql.carry_out(server, self.database, _PERMIT)
            self._initdb(new, "--sync-only")
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        if self.data.exists():
            shutil.rmtree(self.before, ignore_errors=True)
            self.data.rename(self.before)
        new.rename(self.data)
        fsync_folder(new.parent)

    def _initdb(self, data: Path, *words: str) -> None:
        argv = (str(self.programs / "initdb"), f"--pgdata={data}", *words)
        run(argv, timeout_seconds=10 * MINUTE, check=True)

    @contextmanager
    def _running(self, data: Path) -> Iterator[PostgresServer]:
        """A server on `data` that this program alone reaches; it ends with data/ at rest, or raises ApplianceError."""
        pg_ctl = (str(self.programs / "pg_ctl"), f"--pgdata={data}", "--silent", "--wait")
        with tempfile.TemporaryDirectory(prefix="pg") as sockets:
            options = f"-c listen_addresses= -c unix_socket_directories={sockets} -c port={DATABASE.port}"
            options += " -c fsync=off -c jit=off"
            start = ("start", f"--log={sockets}/log", f"--options={options}", f"--timeout={START_SECONDS_MAX}")
            run((*pg_ctl, *start), timeout_seconds=START_SECONDS_MAX + MINUTE, check=True)
            try:
                yield PostgresServer(host=sockets, port=DATABASE.port, user="postgres")
            finally:
                run((*pg_ctl, "stop", "--mode=fast"), timeout_seconds=10 * MINUTE, check=True)


VERBS: Mapping[str, Callable[[Cluster], None]] = {"make": Cluster.make, "fill": Cluster.fill, "keep": Cluster.keep}


def carry_out(verb: str, cluster: Cluster) -> int:
    """Do `verb` and leave word of it for who asked."""
    asked, why, code = _asked(cluster.offered), "", 0
    try:
        VERBS[verb](cluster)
    except (ApplianceError, OSError) as error:
        why, code = f"{error}", error.exit_code if isinstance(error, ApplianceError) else 1
        print(f"{verb}: {why}", file=sys.stderr, flush=True)
    if asked:
        outcome = json.dumps({"asked": asked, "error": why}, ensure_ascii=False)
        write_atomic(cluster.folder / OUTCOME, outcome.encode(), mode=0o644)
    return code


def _asked(offered: Path) -> str:
    try:
        return (offered / ASKED).read_text()
    except OSError:
        return ""


if __name__ == "__main__":
    sys.exit(carry_out(sys.argv[1], Cluster(Path(database_folder(sys.argv[2])), sys.argv[3])))
