"""The database `etat-civil` that moves between hosts of a lab, and what tests ask of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from appliance.host.command import Result, run
from appliance.host.network import netns
from tests.integration.lab.moving.sites import CLIENT, HOME, STANDBY, Sites, until

SERVICE, DATABASE, ADDRESS, PASSWORD = "etat-civil", "etat_civil", "10.64.8.5", "un pressoir sous la neige"
FIRST = "Lefèvre"
# The settings of a program that must notice within seconds that its server is another one now.
NOTICES = (
    f"host={ADDRESS} dbname={DATABASE} connect_timeout=3 keepalives_idle=2 keepalives_interval=1 keepalives_count=3"
)
SOCKET = f"/run/appliance-database-{SERVICE}"


@dataclass(frozen=True)
class Databases(Sites):
    def ask(self, statements: str, user: str = DATABASE, node: str = CLIENT) -> Result:
        """A program at `node` that speaks to the database at its own address, by its password."""
        argv = ("psql", "-XqAtw", "-v", "ON_ERROR_STOP=1", "-d", f"{NOTICES} user={user}", "-c", statements)
        return run(netns.inside(self.namespace(node), argv), timeout_seconds=300, env={"PGPASSWORD": PASSWORD})

    def make_table(self) -> None:
        until(lambda: self.state(HOME, SERVICE) == "ACTIVE", "it is granted to its home and served")
        self.as_maintenance(HOME, f"ALTER ROLE etat_civil PASSWORD '{PASSWORD}'")
        made = self.ask("CREATE TABLE acte (id serial PRIMARY KEY, nom text NOT NULL)")
        assert made.exit_code == 0, made.stderr.decode()
        self.add(FIRST)

    def keep_first(self) -> None:
        """Nothing but the first row is left."""
        kept = self.ask(f"DELETE FROM acte WHERE nom <> '{FIRST}'")
        assert (kept.exit_code, self.rows()) == (0, [FIRST]), kept.stderr.decode()

    def rows(self) -> list[str]:
        """Return the rows of the table for a client on the mesh; none when nobody answers."""
        return self.ask("SELECT nom FROM acte ORDER BY id").stdout.decode().splitlines()

    def add(self, name: str) -> None:
        added = self.ask(f"INSERT INTO acte (nom) VALUES ('{name}')")
        assert added.exit_code == 0, added.stderr.decode()

    def as_maintenance(self, node: str, statements: str) -> str:
        """Return the answer to statements that the maintenance team types where the database is served."""
        argv = ("runuser", "--user=postgres", "--", "psql", "-XqAt", "-h", SOCKET, "-d", DATABASE)
        return self.run(node, *argv, "-v", "ON_ERROR_STOP=1", stdin=statements.encode()).stdout.decode()

    def serves(self, node: str) -> bool:
        unit = f"appliance-database@{SERVICE}.service"
        return self.run(node, "systemctl", "is-active", "--quiet", unit, check=False).exit_code == 0

    def has_address(self, node: str) -> bool:
        return f"{ADDRESS}/32" in self.said(node, "ip", "-4", "-brief", "address")

    def may_be_written(self, node: str) -> bool:
        """By anybody at all, root included."""
        folder = f"/srv/databases/{SERVICE}/cluster"
        return self.run(node, "test", "-w", folder, check=False).exit_code == 0

    def kept(self, node: str) -> str:
        """Return the newest branch of `node`, as statements; "" while there is none."""
        folders = f"/srv/appliance/node/services/{SERVICE}/branches"
        found = self.run(node, "ls", folders, check=False).stdout.decode().split()
        newest = max(filter(str.isdigit, found), key=int, default="")
        dump = f"{folders}/{newest}/postgresql/{DATABASE}.dump"
        return self.run(node, "pg_restore", "--file=-", dump, check=False).stdout.decode()

    def leave_branch(self) -> None:
        """As a person does who looked at the only branch that waits."""
        left = self.appliance(HOME, "failover", "merge", SERVICE, "--leave")
        assert left.exit_code == 0, left.stderr.decode()

    def drill(self, node: str) -> tuple[int, dict[str, Any]]:
        """The exit code of a drill of everything, and what it found."""
        drilled = self.appliance(node, "backup", "drill", SERVICE, "--all")
        return drilled.exit_code, json.loads(drilled.stdout)

    def works(self, work: str, node: str = STANDBY) -> bool:
        """Whether the unit that fills or drills the database runs."""
        asks = ("systemctl", "show", "--value", "--property=ActiveState", unit_of(work))
        return self.said(node, *asks) == "activating"

    @contextmanager
    def waiting(self, work: str, node: str = STANDBY) -> Iterator[None]:
        """Stop the unit that fills or drills the database, and let it go on after this, unless it was ended."""
        until(lambda: self.works(work, node), f"the unit that is to {work} the database runs")
        signal = ("systemctl", "kill", "--kill-whom=all")
        self.run(node, *signal, "--signal=SIGSTOP", unit_of(work))
        try:
            yield
        finally:
            self.run(node, *signal, "--signal=SIGCONT", unit_of(work), check=False)

    def left_by_drills(self, node: str) -> list[str]:
        return self.said(node, "ls", "-A", f"/srv/databases/.rehearsals/{SERVICE}").split()

    def failed_units(self, node: str) -> list[str]:
        listed = self.said(
            node, "systemctl", "list-units", "--failed", "--plain", "--no-legend", "appliance-database-*"
        )
        return [line.split()[0] for line in listed.splitlines()]

    def has_statistics(self, node: str) -> bool:
        counted = "SELECT reltuples >= 0 FROM pg_class WHERE relname = 'acte'"
        return self.as_maintenance(node, counted).strip() == "t"

    def come_home(self) -> None:
        """By a click, where it is elsewhere."""
        until(lambda: self.state(HOME, SERVICE) in ("STANDBY", "ACTIVE"), "its home has caught up")
        if self.state(HOME, SERVICE) != "ACTIVE":
            self.ask_home(SERVICE)
        until(lambda: self.state(HOME, SERVICE) == "ACTIVE", "it is home")
        self.back_up(SERVICE)
        until(lambda: self.state(STANDBY, SERVICE) == "STANDBY", "the standby has a copy")


def unit_of(work: str) -> str:
    return f"appliance-database-{work}@{SERVICE}.service"
