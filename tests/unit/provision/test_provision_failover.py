"""Sites that move, from the bundle: who may serve them, who may reach them, and where their addresses lead at first."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.node.movable_services import MovableService, read_movable
from appliance.provision import failover, firewall, link, mesh
from appliance.territory.model import Service
from appliance.trust.bundle import Bundle
from tests.unit.provision import databases
from tests.worlds import small
from tests.worlds.towns import bundle, town

SITE = "10.90.8.1"
HORAIRES: Service = replace(
    small.service("horaires", "commune-a", standbys=("hermitage",)),
    address=SITE,
    paths=("/srv/sites/horaires",),
    policy="exclusive",
)


def territory(*, hidden: tuple[str, ...] = (), voters: bool = True) -> Bundle:
    """Three voters and commune-c; commune-a is the home of a site, the hermitage its standby."""
    roles = ("voter",) if voters else ()
    port = lambda name: 0 if name in hidden else 51820  # noqa: E731
    nodes = (
        town("hermitage", 1, roles=("standby", *roles)),
        *(
            town(f"commune-{it}", number, roles=roles, port=port(f"commune-{it}"))
            for number, it in ((2, "a"), (3, "b"))
        ),
        town("commune-c", 4, port=port("commune-c")),
    )
    return bundle(nodes, services=(HORAIRES,))


def lines(name: str, found: Bundle) -> list[str]:
    return [it for it in map(str.strip, firewall.render(found, name).splitlines()) if SITE in it or "8401" in it]


@pytest.mark.parametrize(("name", "here"), [("commune-a", True), ("hermitage", True), ("commune-c", False)])
def test_every_node_knows_of_it_and_its_candidates_alone_may_serve_it(name: str, here: bool, tmp_path: Path) -> None:
    found = failover.part(territory(), name)
    (tmp_path / "served.json").write_text(found.files[0].text)
    nodes = frozenset({"commune-a", "hermitage"})
    assert read_movable(tmp_path / "served.json") == {
        "horaires": MovableService(
            "site",
            SITE,
            80,
            "/srv/sites/horaires",
            "appliance-site@horaires.service",
            "appliance-site-copy@horaires.service",
            here,
            nodes,
        ),
    }
    names = {Path(file.path).name for file in found.files}
    assert names == (
        {"served.json", "horaires.conf", "horaires.copy.conf", "horaires.env"} if here else {"served.json"}
    )
    assert json.loads(found.files[0].text)["node"] == name


def test_a_site_is_served_at_its_address_and_a_copy_at_the_nodes_own() -> None:
    files = {Path(file.path).name: file.text for file in failover.part(territory(), "hermitage").files}
    assert f"listen {SITE}:80;" in files["horaires.conf"]
    assert "root /srv/sites/horaires;" in files["horaires.conf"]
    assert "listen 10.90.0.1:8401;" in files["horaires.copy.conf"]
    assert "FOLDER=/srv/sites/horaires" in files["horaires.env"].splitlines()


def test_a_database_lies_in_a_cluster_of_its_own_that_listens_nowhere_and_is_kept_by_no_copy(tmp_path: Path) -> None:
    found = failover.part(databases.territory(), "hermitage")
    files = {Path(file.path).name: file.text for file in found.files}
    (tmp_path / "served.json").write_text(files["served.json"])
    plan = read_movable(tmp_path / "served.json")["etat-civil"]
    assert (plan.form, plan.port, plan.unit, plan.copy) == (
        "database",
        5432,
        "appliance-database@etat-civil.service",
        "",
    )
    assert plan.folder == "/srv/databases/etat-civil/cluster"
    settings = files["etat-civil.postgresql.conf"].splitlines()
    assert "listen_addresses = ''" in settings
    assert "data_directory = '/srv/databases/etat-civil/cluster/data'" in settings
    assert files["etat-civil.pg_hba.conf"].splitlines()[1:] == [
        "local all postgres peer",
        "local all appliance peer",
        "local all all scram-sha-256",
    ]
    assert "DATABASE=etat_civil" in files["etat-civil.env"].splitlines()
    assert "/srv/sites" not in [folder.path for folder in found.folders]
    assert {Path(file.path).name for file in failover.part(databases.territory(), "commune-c").files} == {"served.json"}


def test_a_database_is_reached_over_the_mesh_alone_at_its_port() -> None:
    at = databases.ETAT_CIVIL.address
    rules = [it.strip() for it in firewall.render(databases.territory(), "hermitage").splitlines() if at in it]
    assert rules == [f'iifname != "mesh0" ip daddr {at} drop', f'iifname "mesh0" ip daddr {at} tcp dport 5432 accept']


def test_without_voters_nothing_follows_them() -> None:
    assert failover.part(territory(voters=False), "hermitage").units == ()
    assert "appliance-failover.service" in failover.part(territory(), "commune-c").units


def test_it_is_reached_over_the_mesh_alone_and_where_it_may_be_served() -> None:
    assert lines("commune-c", territory()) == []
    assert lines("hermitage", territory()) == [
        f'iifname != "mesh0" ip daddr {SITE} drop',
        f'iifname "mesh0" ip daddr {SITE} tcp dport 80 accept',
        'iifname "mesh0" ip daddr 10.90.0.1 tcp dport 8401 accept',
    ]


def allowed(found: Bundle, name: str) -> dict[str, tuple[str, ...]]:
    made = mesh.plan(found, name)
    assert made is not None
    return {peer.name: peer.allowed for peer in made.peers}


def test_its_address_leads_to_its_home_until_somebody_was_granted_it() -> None:
    assert allowed(territory(), "commune-c")["commune-a"] == ("10.90.0.2", SITE)
    assert SITE not in str(allowed(territory(), "commune-a").values())


def test_behind_nat_it_leads_through_the_relay_which_hands_it_on() -> None:
    found = territory(hidden=("commune-a", "commune-c"))
    assert allowed(found, "commune-c")["hermitage"] == ("10.90.0.1", "10.90.0.2", SITE)
    made = mesh.plan(found, "hermitage")
    assert made is not None
    assert made.relayed == ("10.90.0.2", "10.90.0.4", SITE)


@pytest.mark.parametrize(
    ("to", "peers"),
    [
        ("10.90.0.1", [f"10.90.0.1/32, {SITE}/32", "10.90.0.2/32", "10.90.0.3/32"]),
        ("10.90.0.2", ["10.90.0.1/32", f"10.90.0.2/32, {SITE}/32", "10.90.0.3/32"]),
        ("10.90.0.4", ["10.90.0.1/32", "10.90.0.2/32", "10.90.0.3/32"]),
    ],
    ids=["the standby", "its home", "this node"],
)
def test_it_goes_with_the_mesh_address_of_who_has_it_and_to_nobody_where_that_is_this_node(
    to: str, peers: list[str]
) -> None:
    made = mesh.plan(territory(), "commune-c")
    assert made is not None
    text = link.routed(mesh.render(made), link.read_service_routes(f"{SITE} {to}\nnonsense\n"))
    found = [it.removeprefix("AllowedIPs = ") for it in text.splitlines() if it.startswith("AllowedIPs")]
    assert sorted(found) == peers
