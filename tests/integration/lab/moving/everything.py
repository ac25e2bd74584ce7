"""Sites, a share and a database that move between hosts of a lab, all at once."""

from __future__ import annotations

from dataclasses import dataclass

from appliance_lab.hosts.lab import Lab
from appliance_lab.hosts.playbook import play_well
from appliance_lab.hosts.provision import grant
from tests.integration.lab.databases import DECLARED as DATABASE_DECLARED
from tests.integration.lab.databases import Databases
from tests.integration.lab.moving import ADDRESSES, CLIENT, HOME, MIRROR, STANDBY, Sites, until
from tests.integration.lab.shares import FIRST, Shares, reads

SERVICES = f"""{DATABASE_DECLARED.rstrip()}
  horaires: {{node: commune-a, standbys: [hermitage], policy: exclusive, address: 10.64.8.1, copies: 2,
    paths: [/srv/sites/horaires], size: 1M, change_per_day: 1M, quota: 1G}}
  affiches: {{node: commune-a, standbys: [hermitage], policy: local-first, address: 10.64.8.2, copies: 2,
    paths: [/srv/sites/affiches], size: 1M, change_per_day: 1M, quota: 1G}}
  bulletin: {{node: commune-a, standbys: [hermitage], policy: mirror, address: 10.64.8.6, copies: 2,
    paths: [/srv/sites/bulletin], size: 1M, change_per_day: 1M, quota: 1G}}
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
        return self.database.rows() == ["Lefèvre"] and reads(self.share.over_the_mesh(), FIRST, "du Samba de Debian")

    def where(self) -> tuple[list[str], list[str]]:
        """Where programs of the share run, and of the database."""
        shared = [node for node in (HOME, STANDBY) if self.share.serves(node)]
        return shared, [node for node in (HOME, STANDBY) if self.database.serves(node)]


def all_at_home(lab: Lab) -> Sites:
    """The sites, the share and the database are served at home, and their standby has a copy of each."""
    made, share = Sites(lab), Shares(lab)
    share.declare()
    made.change_territory(r"^services:\n", SERVICES)
    play_well(made.desk, "site")
    assert grant(made.lab, made.desk)
    play_well(made.desk, "site", "--tags", "backup")
    for service in ADDRESSES:
        until(lambda s=service: made.write(HOME, s, f"{s} 1"), f"{service} is granted to its home")
        until(lambda s=service: made.get(CLIENT, ADDRESSES[s]) == f"{s} 1", f"{service} is served")
        made.bring_as_root(HOME, service)
        at_home, stands_by = ("ISOLATED_RW", "RO_SERVE") if service == MIRROR else ("ACTIVE", "STANDBY")
        until(lambda s=service, it=at_home: made.state(HOME, s) == it, f"{service} has its lease, or needs none")
        made.back_up(service)
        until(lambda s=service, it=stands_by: made.state(STANDBY, s) == it, f"{service} has a copy")
    share.begin()
    Databases(lab).begin()
    return made
