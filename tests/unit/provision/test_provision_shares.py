"""Shares that move, from the bundle: which Samba serves them where, which PCs may enter, and which group owns its
files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from appliance.accounts.groups import mark
from appliance.node.movable_services import read_movable
from appliance.provision import failover, firewall
from appliance.territory.model import Service
from appliance.trust.bundle import Bundle
from tests.worlds import small
from tests.worlds.towns import bundle, town

ADDRESS = "10.90.8.3"
DOCS: Service = replace(
    small.service("docs-a", "commune-a", standbys=("hermitage",)),
    address=ADDRESS,
    paths=("/srv/shares/documents communs",),
    share="Documents",
    share_groups=("elus",),
    title="Documents à 100%",
)
PEOPLE = f"people-{mark('commune-a')}"


@pytest.fixture
def found() -> Bundle:
    nodes = (
        town("hermitage", 1, roles=("standby", "voter")),
        town("commune-a", 2, roles=("voter",)),
        town("commune-b", 3, roles=("voter",)),
    )
    made = bundle(nodes, services=(DOCS,))
    site = made.territory.nodes["commune-a"].site
    lan = replace(made.territory.sites[site], title="Commune A", lan=("192.168.1.0/24", "fd00::/64"))
    return replace(made, territory=replace(made.territory, sites={**made.territory.sites, site: lan}))


def files(found: Bundle, name: str) -> dict[str, str]:
    return {Path(file.path).name: file.text for file in failover.part(found, name).files}


def settings(text: str) -> dict[str, str]:
    return {key.strip(): value.strip() for key, mark, value in (it.partition("=") for it in text.splitlines()) if mark}


def test_at_its_home_it_is_open_at_all_addresses_and_elsewhere_on_loopback_alone(found: Bundle) -> None:
    home, standby = (settings(files(found, it)["docs-a.smb.conf"]) for it in ("commune-a", "hermitage"))
    assert home["smb ports"] == "445"
    assert "bind interfaces only" not in home
    assert (standby["smb ports"], standby["interfaces"], standby["bind interfaces only"]) == (
        "8603",
        "127.0.0.1/8",
        "yes",
    )
    same = ("netbios name", "server string", "path", "force group", "valid users", "include")
    assert [home[it] for it in same] == [standby[it] for it in same]


def test_its_people_are_those_of_its_home_and_a_title_is_no_setting(found: Bundle) -> None:
    said = settings(files(found, "hermitage")["docs-a.smb.conf"])
    assert said["force group"] == PEOPLE
    assert said["valid users"] == f"+elus-{mark('commune-a')}"
    assert said["comment"] == "Documents à 100"
    assert "[Documents]" in files(found, "hermitage")["docs-a.smb.conf"].splitlines()


def test_units_read_where_it_listens_and_whose_its_files_are(found: Bundle) -> None:
    read = settings(files(found, "hermitage")["docs-a.env"])
    assert read == {
        "FOLDER": "/srv/shares/documents communs",
        "ADDRESS": ADDRESS,
        "PORT": "445",
        "LOCAL_PORT": "8603",
        "CONFIG": "/etc/appliance/served.d/docs-a.smb.conf",
        "HOME_NODE": "commune-a",
        "PEOPLE": PEOPLE,
    }


def test_what_comes_from_elsewhere_is_laid_beside_the_shares(found: Bundle) -> None:
    folders = {it.path: (it.mode, it.owner) for it in failover.part(found, "commune-a").folders}
    assert folders["/srv/shares/.laying"] == (0o700, "appliance")
    assert folders["/srv/shares/.replaced"] == (0o700, "")
    assert "/srv/sites" not in folders
    assert set(files(found, "commune-b")) == {"served.json"}


@pytest.mark.parametrize(("name", "port"), [("commune-a", 445), ("hermitage", 8603)])
def test_the_program_that_serves_knows_where_it_answers_first(
    found: Bundle, name: str, port: int, tmp_path: Path
) -> None:
    (tmp_path / "served.json").write_text(files(found, name)["served.json"])
    moving = read_movable(tmp_path / "served.json")["docs-a"]
    assert (moving.form, moving.port, moving.local_port, moving.copy) == ("share", 445, port, "")


def test_pcs_around_its_home_come_to_the_node_and_others_over_the_mesh(found: Bundle) -> None:
    def rules(name: str) -> list[str]:
        return [it.strip() for it in firewall.render(found, name).splitlines() if "445" in it]

    over_the_mesh = f'iifname "mesh0" ip daddr {ADDRESS} tcp dport 445 accept'
    assert rules("commune-a") == [over_the_mesh, "ip saddr { 192.168.1.0/24 } tcp dport 445 accept"]
    assert rules("hermitage") == [over_the_mesh]
    assert rules("commune-b") == []


def test_a_pc_keeps_nothing_of_a_share_that_moves_to_itself(found: Bundle) -> None:
    """Its programs would take it for saved, and no snapshot has it."""
    for node in ("commune-a", "hermitage"):
        said = settings(files(found, node)["docs-a.smb.conf"])
        assert {said[it] for it in ("oplocks", "smb2 leases", "durable handles")} == {"no"}
