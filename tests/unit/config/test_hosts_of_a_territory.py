"""Which hosts, groups and variables playbooks see; and that nothing is seen of a territory that cannot work."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from appliance.config.hosts import GROUPS, Host, read_hosts
from appliance.config.load import load
from appliance.errors import NotFound, UsageError
from appliance.territory.codec import to_json

LAB = Path(__file__).parents[2] / "cases" / "hosts"
GOOD = (LAB / "territory.yml").read_text("utf-8")


def host(name: str, folder: Path = LAB) -> Host:
    return next(host for host in read_hosts(folder).hosts if host.name == name)


def changed(folder: Path, *changes: tuple[str, str]) -> Path:
    """A copy of the lab's territory in `folder` with each old text, which must stand once, replaced."""
    text = GOOD
    for old, new in changes:
        assert text.count(old) == 1, f"{old!r} must stand once"
        text = text.replace(old, new)
    (folder / "territory.yml").write_text(text, "utf-8")
    return folder


def refusal(folder: Path) -> str:
    with pytest.raises(UsageError) as caught:
        read_hosts(folder, name="territory.yml")
    return str(caught.value)


def test_every_node_is_a_host_in_the_order_of_the_file() -> None:
    assert [host.name for host in read_hosts(LAB).hosts] == ["hermitage", "commune-a", "commune-b", "commune-c"]


def test_groups_are_all_nodes_then_roles_site_and_zones() -> None:
    expected = ("nodes", "standby", "control", "monitor", "mirror", "site_hermitage", "zone_heights")
    assert host("hermitage").groups == expected
    assert host("commune-a").groups == ("nodes", "site_commune_a", "zone_valley")


def test_a_role_that_nobody_has_is_still_a_group() -> None:
    assert "voter" in read_hosts(LAB).groups


def test_a_host_knows_what_roles_need() -> None:
    known = host("commune-a").variables
    assert (known["ansible_host"], known["ansible_port"]) == ("10.77.1.10", 22)
    assert (known["appliance_node"], known["appliance_site"]) == ("commune-a", "commune-a")
    assert known["appliance_offered_bytes"] == 5 * 2**30
    services = known["appliance_services"]
    assert isinstance(services, list)
    assert [service["name"] for service in services] == ["docs-a", "appliance-commune-a"]
    assert services[0]["paths"] == ["/srv/docs-a"]
    assert known["appliance_moving"] == []


def test_who_stands_by_for_a_service_may_show_it() -> None:
    assert "docs-a" in str(host("hermitage").variables["appliance_openable"])
    assert host("commune-a").variables["appliance_openable"] == ["docs-a"]


def test_the_offer_is_named_with_file_and_line() -> None:
    file, line = str(host("commune-a").variables["appliance_offered_at"]).rsplit(":", 1)
    assert "offered: 5G" in Path(file).read_text("utf-8").splitlines()[int(line) - 1]


def test_variables_come_through_json_unchanged() -> None:
    for each in read_hosts(LAB).hosts:
        assert json.loads(json.dumps(each.variables)) == each.variables


def test_ssh_takes_only_the_key_compared_at_first_contact(tmp_path: Path) -> None:
    folder = tmp_path / "mairie d'Attichy"
    folder.mkdir()
    words = shlex.split(str(host("commune-a", changed(folder)).variables["ansible_ssh_common_args"]))
    assert f'UserKnownHostsFile="{folder}/known_hosts"' in words
    assert {"StrictHostKeyChecking=yes", "GlobalKnownHostsFile=none", "HostKeyAlias=commune-a"} < set(words)


def test_two_territories_share_no_open_connection(tmp_path: Path) -> None:
    paths = {str(read_hosts(folder).variables["ansible_control_path_dir"]) for folder in (LAB, changed(tmp_path))}
    assert len(paths) == 2


REFUSED = [
    pytest.param(
        [("10.77.2.10", "10.77.1.10")],
        "territory.yml:34  sites > commune-b > nodes[0] > address: "
        "10.77.1.10 port 22 is already the address of a node at commune-a; give each its own.",
        id="a_duplicate_address",
    ),
    pytest.param(
        [("zones: [plateau]", "zones: [plateua]")],
        'territory.yml:32  sites > commune-b > zones[0]: unknown "plateua"; known: heights, valley, plateau, forest',
        id="an_unknown_zone",
    ),
    pytest.param(
        [("offered: 8G", "offered: 80G")],
        "territory.yml:34  sites > commune-b > nodes[0] > offered: offers 80 GiB of a disk of 20 GiB; "
        "offer less, or correct the disk.",
        id="more_offered_than_the_disk",
    ),
    pytest.param(
        [("copies: 2", "copies: 4")],
        "territory.yml:47  services > docs-a > copies: is 4, but the zones allow only 3 in failure domains "
        "distinct from that of commune-a and from each other; "
        "ask for 3 at most, or let a node in another zone offer space.",
        id="fewer_failure_domains_than_copies",
    ),
    pytest.param(
        [("copies: 2", "copies: 3"), ("quota: 2G", "quota: 6G")],
        "territory.yml:42  services > docs-a: 3 copies are requested, only 2 can be placed. Offer more space, "
        "declare a smaller quota, name another standby or ask for fewer copies.",
        id="too_little_room",
    ),
    pytest.param(
        [("name: commune-c", "name: mirror")],
        'territory.yml:39  sites > commune-c > nodes[0] > name: playbooks already use "mirror" for a group of nodes. '
        "Choose another.",
        id="the_name_of_a_group",
    ),
]


@pytest.mark.parametrize(("changes", "say"), REFUSED)
def test_what_cannot_work_is_refused_with_file_line_and_remedy(
    changes: list[tuple[str, str]], say: str, tmp_path: Path
) -> None:
    assert refusal(changed(tmp_path, *changes)).splitlines()[0] == say


def test_every_role_is_a_reserved_name() -> None:
    assert {"nodes", "control", "standby", "voter", "monitor", "mirror"} < set(GROUPS)


def test_a_folder_without_a_territory_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"territory\.yml"):
        read_hosts(tmp_path)


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"


def test_people_with_root_keys_are_named_behind_them_on_every_node(tmp_path: Path) -> None:
    folder = changed(tmp_path, ("    keys: []\n", f"    keys: [{KEY} me@pc]\n    root_keys: [{KEY} me@pc]\n"))
    assert read_hosts(folder).variables["appliance_root_keys"] == [f"{KEY} maintenance"]
    assert read_hosts(LAB).variables["appliance_root_keys"] == []


def test_who_is_root_is_no_part_of_the_bundle(tmp_path: Path) -> None:
    """An operator comes or goes without the key holder, and nodes of an earlier version read the bundle."""
    folder = changed(tmp_path, ("    keys: []\n", f"    keys: []\n    root_keys: [{KEY}]\n"))
    assert to_json(load(folder)) == to_json(load(LAB))
    assert load(folder).people["maintenance"].root_keys == (KEY,)
