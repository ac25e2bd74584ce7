"""The cluster of a database that moves, for the account of PostgreSQL: `python3 -m appliance.failover.forms.cluster`.

    cluster.py make SERVICE DATABASE    an empty one, where there is none
    cluster.py fill SERVICE DATABASE    another one from the dump that the program that serves offers
    cluster.py keep SERVICE DATABASE    a dump of the one that was left here
    cluster.py analyse SERVICE DATABASE statistics of the one that runs, where it was filled and has none yet
    cluster.py rehearse SERVICE         one that is thrown away, from the dump that a drill offers

FOLDER/cluster holds data/, which a server runs on, and before/, what it replaced; FOLDER/keeping is what was kept;
FOLDER/outcome says how the last one that was asked for went, with the word by which it was asked.

Invariant: data/ is a whole cluster at rest, or one that a server ran on. Another one is made beside it, brought to rest
and to the disk, and only then takes its place.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from appliance.backup.proofs import rehearsal
from appliance.backup.sources import PostgresServer, own_server, postgresql
from appliance.errors import ApplianceError
from appliance.host.command import COPY_SECONDS_MAX, run
from appliance.host.files import fsync_folder, write_atomic
from appliance.territory.model import DATABASES
from appliance.territory.service_forms import database_folder, database_socket

OFFERED = Path("/srv/offered")
"""As the units see it: the folder of the program that serves, with the word of a request and perhaps a dump."""
ASKED, DUMP, OUTCOME = "asked", "postgresql", "outcome"
REHEARSALS, DATABASE_NAME = ".rehearsals", "database"
"""Where clusters of drills lie beside those of databases, which have no dot; what the database is called."""
NOT_ANALYSED = "not-analysed"
"""Is in data/ from when that was filled until it has statistics."""
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
    """`programs`: where PostgreSQL's lie; `offered`: see OFFERED; `socket`: the folder of that of the one that runs."""

    folder: Path
    database: str
    programs: Path = own_server.PROGRAMS
    offered: Path = OFFERED
    socket: str = ""

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
        """Fill the database from the dump. The former cluster stays beside it until the next one is filled."""
        self._replace(lambda server: postgresql.recreate(server, self.database, self.offered / DUMP), NOT_ANALYSED)
        shutil.rmtree(self.folder / "keeping", ignore_errors=True)

    def keep(self) -> None:
        """Keep a dump of a copy of the cluster: the cluster itself is read-only, and may need to come to rest first."""
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
        with own_server.running(self.programs, copy) as server:
            postgresql.dump(server, self.database, kept / DUMP)
        shutil.rmtree(copy)

    def analyse(self) -> None:
        """A dump holds no statistics, and clients do not wait for them: they come while the database serves."""
        server = PostgresServer(host=self.socket or database_socket(self.folder.name), user="postgres")
        own_server.wait_for(self.programs, server)
        postgresql.analyse(server, self.database)
        (self.data / NOT_ANALYSED).unlink(missing_ok=True)

    def _replace(self, load: Callable[[PostgresServer], None], mark: str = "") -> None:
        new = self.data.with_name("filling")
        shutil.rmtree(new, ignore_errors=True)
        new.parent.mkdir(mode=0o700, exist_ok=True)
        try:
            own_server.make_cluster(self.programs, new, "peer")
            with own_server.running(self.programs, new) as server:
                load(server)
                postgresql.carry_out(server, self.database, _PERMIT)
            if mark:
                (new / mark).touch()
            own_server.bring_to_disk(self.programs, new)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        if self.data.exists():
            shutil.rmtree(self.before, ignore_errors=True)
            self.data.rename(self.before)
        new.rename(self.data)
        fsync_folder(new.parent)


VERBS: Mapping[str, Callable[[Cluster], None]] = {
    "make": Cluster.make,
    "fill": Cluster.fill,
    "keep": Cluster.keep,
    "analyse": Cluster.analyse,
}


def rehearse(folder: Path, programs: Path = own_server.PROGRAMS, offered: Path = OFFERED) -> int:
    """Load what is offered into a cluster in `folder` that is thrown away, and leave word of it."""
    database = (offered / DATABASE_NAME).read_text()
    done = rehearsal.rehearse(offered / DUMP, database, folder / "scratch", programs)
    _leave_word(folder, _asked(offered), "", rehearsed=asdict(done))
    return 0


def carry_out(verb: str, cluster: Cluster) -> int:
    """Do `verb` and leave word of it for who asked."""
    asked, why, code = _asked(cluster.offered), "", 0
    try:
        VERBS[verb](cluster)
    except (ApplianceError, OSError) as error:
        why, code = f"{error}", error.exit_code if isinstance(error, ApplianceError) else 1
        print(f"{verb}: {why}", file=sys.stderr, flush=True)
    if asked:
        _leave_word(cluster.folder, asked, why)
    return code


def _leave_word(folder: Path, asked: str, why: str, **more: object) -> None:
    write_atomic(folder / OUTCOME, json.dumps({"asked": asked, "error": why, **more}).encode(), mode=0o644)


def _asked(offered: Path) -> str:
    try:
        return (offered / ASKED).read_text()
    except OSError:
        return ""


if __name__ == "__main__":
    if sys.argv[1] == "rehearse":
        sys.exit(rehearse(Path(DATABASES, REHEARSALS, sys.argv[2])))
    sys.exit(carry_out(sys.argv[1], Cluster(Path(database_folder(sys.argv[2])), sys.argv[3])))
