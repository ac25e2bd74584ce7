"""Sites, a share and a database that move between hosts of a lab, all at once."""

from __future__ import annotations

from dataclasses import dataclass

from appliance_lab.hosts.lab import Lab
from appliance_lab.hosts.playbook import play_well
from appliance_lab.hosts.provision import grant
from tests.integration.lab.moving.databases import SERVICE as DATABASE
from tests.integration.lab.moving.databases import Databases
from tests.integration.lab.moving.shares import FIRST, FIRST_TEXT, OWN, Shares, reads
from tests.integration.lab.moving.shares import SERVICE as SHARE
from tests.integration.lab.moving.sites import (
    ADDRESSES,
    CLIENT,
    EXCLUSIVE,
    HOME,
    LOCAL_FIRST,
    MIRROR,
    STANDBY,
    Sites,
    until,
)

SERVICES = """services:
  etat-civil: {node: commune-a, kind: postgresql, database: etat_civil, standbys: [hermitage], policy: exclusive,
    address: 10.64.8.5, copies: 2, size: 10M, change_per_day: 10M, quota: 1G}
  horaires: {node: commune-a, standbys: [hermitage], policy: exclusive, address: 10.64.8.1, copies: 2,
    paths: [/srv/sites/horaires], size: 1M, change_per_day: 1M, quota: 1G}
  affiches: {node: commune-a, standbys: [hermitage], policy: local-first, address: 10.64.8.2, copies: 2,
    paths: [/srv/sites/affiches], size: 1M, change_per_day: 1M, quota: 1G}
  bulletin: {node: commune-a, standbys: [hermitage], policy: mirror, address: 10.64.8.6, copies: 2,
    paths: [/srv/sites/bulletin], size: 1M, change_per_day: 1M, quota: 1G}
"""


@dataclass(frozen=True)
class Beside:
    """The share and the database, for clients on the mesh."""

    share: Shares
    database: Databases

    @classmethod
    def of(cls, lab: Lab) -> Beside:
        return cls(Shares(lab), Databases(lab))

    def is_served(self) -> bool:
        return self.database.rows() == ["Lefèvre"] and reads(self.share.over_the_mesh(), FIRST, FIRST_TEXT)

    def where(self) -> tuple[list[str], list[str]]:
        """Where programs of the share run, and of the database."""
        shared = [node for node in (HOME, STANDBY) if self.share.serves(node)]
        return shared, [node for node in (HOME, STANDBY) if self.database.serves(node)]


def all_at_home(lab: Lab) -> None:
    """Declare the sites, the share and the database, and have them granted to their home, and served there."""
    made, database = Sites(lab), Databases(lab)
    Shares(lab).declare()
    made.change_territory(r"^services:\n", SERVICES)
    play_well(made.desk, "site")
    assert grant(made.lab, made.desk)
    play_well(made.desk, "site", "--tags", "backup")
    for service in ADDRESSES:
        until(lambda s=service: made.write(HOME, s, f"{s} 1"), f"{service} is granted to its home")
        made.bring_as_root(HOME, service)
    database.make_table()


def begin_again(sites: Sites) -> None:
    """All is at home with its first contents, and its standby has a copy of those."""
    come_home(sites, EXCLUSIVE, LOCAL_FIRST, DATABASE, SHARE)
    until(lambda: sites.state(HOME, MIRROR) == "ISOLATED_RW", "the mirror needs no lease")
    for service in ADDRESSES:
        assert sites.write(HOME, service, f"{service} 1")
        until(lambda s=service: sites.get(CLIENT, ADDRESSES[s]) == f"{s} 1", f"{service} is served")
    Shares(sites.lab).put_first()
    Databases(sites.lab).keep_first()
    for service in (*ADDRESSES, OWN, SHARE, DATABASE):
        sites.back_up(service)
    for service in (EXCLUSIVE, LOCAL_FIRST, DATABASE, SHARE, MIRROR):
        stands_by = "RO_SERVE" if service == MIRROR else "STANDBY"
        until(lambda s=service, it=stands_by: sites.state(STANDBY, s) == it, f"{service} has a copy")


def come_home(sites: Sites, *services: str) -> None:
    """By a click, where they are elsewhere; by themselves only those are that are bound to a lease."""
    for service in services or (EXCLUSIVE, DATABASE):
        until(lambda it=service: sites.state(HOME, it) in ("STANDBY", "ACTIVE"), f"the home of {service} has caught up")
        if sites.state(HOME, service) != "ACTIVE":
            sites.ask_home(service)
        until(lambda it=service: sites.state(HOME, it) == "ACTIVE", f"{service} is home")
