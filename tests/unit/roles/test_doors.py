"""Which services monitoring sites look at from outside: the doors of all vaults, and what has an address of its own."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jinja2

from appliance.config.hosts import hosts_of
from appliance.config.load import load

ROOT = Path(__file__).parents[3]
DOORS = ROOT / "roles/monitoring/templates/doors.j2"


def test_each_vault_and_each_service_with_an_address_is_looked_at() -> None:
    territory = load(ROOT / "inventory/lab")
    docs = territory.services["docs-a"]
    more = {
        "horaires": replace(docs, name="horaires", address="10.64.8.1", share="", paths=("/srv/sites/horaires",)),
        "registre": replace(docs, name="registre", address="10.64.8.2", share="", paths=(), kind="postgresql"),
        "partages": replace(docs, name="partages", address="10.64.8.3", share="partages"),
    }
    found = hosts_of(
        replace(territory, services={**territory.services, **more}), dict.fromkeys(territory.nodes, ""), folder=ROOT
    )
    hostvars = {it.name: {**it.variables, "ansible_port": 22} for it in found.hosts}
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
    environment.filters["to_json"] = json.dumps
    text = environment.from_string(DOORS.read_text()).render(groups={"nodes": list(territory.nodes)}, hostvars=hostvars)
    doors = json.loads(text)
    vaults = [it for it in doors if it["service"] == "coffre"]
    assert sorted(it["node"] for it in vaults) == sorted(territory.nodes)
    assert {it["module"] for it in vaults} == {"ssh_banner"}
    assert {(it["service"], it["node"], it["target"], it["module"]) for it in doors if it not in vaults} == {
        ("horaires", docs.node, "10.64.8.1:80", "tcp_connect"),
        ("registre", docs.node, "10.64.8.2:5432", "tcp_connect"),
        ("partages", docs.node, "10.64.8.3:445", "tcp_connect"),
    }
