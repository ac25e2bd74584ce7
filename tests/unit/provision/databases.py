"""A territory with a database that moves: commune-a is its home, the hermitage its standby."""

from __future__ import annotations

from dataclasses import replace

from appliance.territory.model import Service
from appliance.trust.bundle import Bundle
from tests.worlds import small
from tests.worlds.towns import bundle, town

ETAT_CIVIL: Service = replace(
    small.service("etat-civil", "commune-a", standbys=("hermitage",)),
    kind="postgresql",
    paths=(),
    database="etat_civil",
    address="10.90.8.3",
    policy="exclusive",
)


def territory() -> Bundle:
    names = ("hermitage", "commune-a", "commune-b")
    nodes = (town(name, number, roles=("voter",)) for number, name in enumerate(names, 1))
    return bundle((*nodes, town("commune-c", 4)), services=(ETAT_CIVIL,))
