"""The voter from the bundle: its words, who may knock at it, and that nobody else has one."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.provision import failover, firewall, voter
from appliance.provision.files import OwnedFolder
from appliance.trust.bundle import Bundle
from appliance.voter.program import Settings, load_settings
from tests.worlds.towns import bundle, town

VOTER = ("voter",)


def territory(*, outside: str = "") -> Bundle:
    """Three voters and a town that is none; `outside` is the address of the third, which then is not in the mesh."""
    return bundle(
        (
            town("hermitage", 1, roles=("standby", "voter")),
            town("commune-a", 2),
            town("commune-b", 3, roles=VOTER),
            town("commune-c", 4, roles=VOTER, mesh=not outside, address=outside),
        )
    )


def words(found: Bundle, name: str) -> dict[str, str]:
    """The words of the voter on `name`, as options and their values."""
    file, _ = voter.part(found, name).files
    split = file.text.partition("WORDS=")[2].split()
    pairs = (word for word in split if word not in ("--client-cert-auth", "--peer-client-cert-auth"))
    return dict(zip(pairs, pairs, strict=True))


def test_a_voter_is_reached_by_its_certificates_name_in_the_mesh_and_by_clients_on_the_loopback_alone() -> None:
    found = words(territory(), "commune-b")
    domain = territory().territory.domain
    assert found["--listen-client-urls"] == found["--advertise-client-urls"] == "https://127.0.0.1:2379"
    assert found["--listen-peer-urls"] == "https://10.90.0.3:2380"
    assert found["--initial-advertise-peer-urls"] == f"https://commune-b.{domain}:2380"
    assert found["--initial-cluster"] == ",".join(
        f"{name}=https://{name}.{domain}:2380" for name in ("commune-b", "commune-c", "hermitage")
    )
    files = {found[option] for option in ("--key-file", "--client-crl-file", "--peer-crl-file")}
    credentials = "/run/credentials/appliance-voter.service"
    assert files == {f"{credentials}/key", f"{credentials}/revoked"}


def test_an_address_of_version_6_is_bracketed() -> None:
    assert words(territory(outside="2001:db8::4"), "commune-c")["--listen-peer-urls"] == "https://[2001:db8::4]:2380"


@pytest.mark.parametrize("name", ["commune-a", "hermitage"])
def test_who_does_not_vote_has_no_words_and_what_it_had_goes(name: str) -> None:
    too_few = bundle((town("hermitage", 1, roles=VOTER), town("commune-a", 2), town("commune-b", 3, roles=VOTER)))
    found = voter.part(too_few if name == "hermitage" else territory(), name)
    settings = OwnedFolder("/srv/appliance/node", "voter.json", 0o710, "appliance", "appliance-vault")
    assert (found.files, found.folders) == ((), (OwnedFolder(voter.FOLDER), settings))


def test_its_broker_is_told_where_its_etcd_listens_in_a_file_of_its_own(tmp_path: Path) -> None:
    _, file = voter.part(territory(), "commune-b").files
    assert (file.path, file.mode, file.owner) == ("/srv/appliance/node/voter.json", 0o600, "appliance")
    (tmp_path / "voter.json").write_text(file.text)
    assert load_settings(tmp_path / "voter.json") == Settings("https://127.0.0.1:2379")


def test_a_voter_whose_address_is_a_name_is_named_and_nobody_begins_without_it() -> None:
    found = voter.part(territory(outside="c.example.org"), "hermitage")
    assert found.files == ()
    assert found.warnings == ("commune-c cannot vote: its address must be an IP address, to which etcd can bind.",)


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("hermitage", ["ip saddr { 10.90.0.3, 10.90.0.4 } tcp dport 2380 accept"]),
        ("commune-b", ["ip saddr { 10.90.0.1, 10.90.0.4 } tcp dport 2380 accept"]),
        ("commune-a", []),
    ],
)
def test_only_voters_let_only_voters_in(name: str, rules: list[str]) -> None:
    lines = (line.strip() for line in firewall.render(territory(), name).splitlines())
    assert [line for line in lines if "2380" in line] == rules


def test_a_voter_outside_the_mesh_is_let_in_by_its_own_address() -> None:
    assert "ip6 saddr { 2001:db8::4 } tcp dport 2380 accept" in firewall.render(
        territory(outside="2001:db8::4"), "commune-b"
    )


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("hermitage", ['iifname "mesh0" ip saddr { 10.90.0.2, 10.90.0.3, 10.90.0.4 } tcp dport 7412 accept']),
        ("commune-a", []),
    ],
)
def test_a_broker_is_for_the_nodes_of_the_territory_and_on_voters_alone(name: str, rules: list[str]) -> None:
    lines = (line.strip() for line in firewall.render(territory(), name).splitlines())
    assert [line for line in lines if "7412" in line] == rules


def test_without_a_mesh_a_broker_lets_in_the_addresses_of_nodes() -> None:
    found = bundle(town(f"town-{number}", number, roles=VOTER, mesh=False) for number in (1, 2, 3))
    assert "ip saddr { 10.1.2.10, 10.1.3.10 } tcp dport 7412 accept" in firewall.render(found, "town-1")


@pytest.mark.parametrize(("name", "runs"), [("hermitage", True), ("commune-a", False)])
def test_a_broker_runs_where_a_voter_does(name: str, runs: bool) -> None:
    assert ("appliance-broker.service" in failover.part(territory(), name).units) is runs
