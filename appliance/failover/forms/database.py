"""Databases: a cluster of its own for each, which the account of PostgreSQL fills from the dump of the last writer.

Invariant: clients at its address come through its listener, which runs as nobody. So no role enters there without a
password.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from appliance.failover.forms.files import Files
from appliance.failover.forms.form import SETTINGS
from appliance.host.layout import AGENT
from appliance.node.handle import Node
from appliance.node.movable_services import MovableService
from appliance.territory.model import Service, Territory
from appliance.territory.service_forms import DATABASE, database_socket, folder_of


class Database(Files):
    service_form = DATABASE
    loads = "appliance.failover.forms.database_work"
    handover_seconds: int | None = None
    """Its dump is loaded there, however large it is."""
    closes_while_held = False
    folders: ClassVar[Mapping[str, str]] = {}

    def configs(self, territory: Territory, node: str, service: Service) -> Mapping[str, str]:
        own = [f"local all {role} peer" for role in ("postgres", AGENT)]
        return {
            "postgresql.conf": _postgresql(territory, service),
            "pg_hba.conf": "\n".join([*own, "local all all scram-sha-256", ""]),
        }

    def environment(self, territory: Territory, node: str, service: Service) -> Mapping[str, object]:
        return {
            "FOLDER": folder_of(service),
            "ADDRESS": service.address,
            "PORT": DATABASE.port,
            "DATABASE": service.database,
        }

    async def probe(self, service: str, plan: MovableService, *, held: bool) -> bool:
        """Its listener is frozen while clients wait."""
        from appliance.failover.forms import probes

        own = f"{database_socket(service)}/.s.PGSQL.{plan.port}" if held else ""
        return await probes.answers_postgresql(plan.address, plan.port, own)

    def put_in_place(self, node: Node, service: str, tree: Path) -> list[str]:
        from appliance.failover.forms import database_work

        database_work.fill(node, service, tree)
        return [node.bundle.terms(service).service.database]

    def keep_apart(self, node: Node, service: str, folder: Path) -> None:
        """A dump of what was left here."""
        from appliance.failover.forms import cluster, database_work

        database_work.keep(node, service, folder / cluster.DUMP)


def _postgresql(territory: Territory, service: Service) -> str:
    data = f"{folder_of(service)}/data"
    settings = {
        "data_directory": data,
        "hba_file": f"{SETTINGS}/{service.name}.pg_hba.conf",
        "ident_file": f"{data}/pg_ident.conf",
        "listen_addresses": "",
        "unix_socket_directories": database_socket(service.name),
        "port": f"{DATABASE.port}",
        "dynamic_shared_memory_type": "sysv",  # which goes with the unit
        "huge_pages": "off",
        "jit": "off",  # memory that is written and then run is not for this unit
        "max_wal_size": "256MB",  # so much at most is done again after a loss of power, while clients wait
        "log_line_prefix": "",  # the journal tells when and who
        "lc_messages": "C.UTF-8",
        "timezone": territory.timezone,
        "log_timezone": territory.timezone,
        "datestyle": "iso, dmy",
        "default_text_search_config": "pg_catalog.french",
    }
    return "\n".join([*(f"{setting} = '{value}'" for setting, value in settings.items()), ""])
