"""The refusals of roles before they change anything, each with its sentence."""

from __future__ import annotations

import json
import os
import re
from typing import Any

import pytest

from appliance.host.command import run
from appliance_lab.processes.node import free_ports
from tests.integration.ansible.control import ROOT, Control, control_in


def test_another_version_than_a_node_has_is_refused_unless_that_is_asked_for(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    control.is_local("commune-b")
    there = control.program("dpkg-query", "echo installed 1.2")
    monkeypatch.setenv("PATH", f"{there}:{os.environ['PATH']}")
    words = ("preflight.yml", "--limit", "commune-b", "-e", "agent_deb=/build/deb/appliance_1.3_all.deb")
    refused = control.play(*words)
    said = " ".join((refused.stdout + refused.stderr).decode().split())
    assert refused.exit_code == 2
    assert "commune-b has version 1.2 of our package, and this would bring 1.3 to every node at once" in said
    assert control.play(*words, "-e", "agent_upgrade_anywhere=true").exit_code == 0
    control.program("dpkg-query", "echo installed 1.3")
    assert control.play(*words).exit_code == 0


PACKAGE = "Package: appliance\nVersion: {version}\nArchitecture: all\nMaintainer: a <a@b.invalid>\nDescription: none\n"
INSTALLED = 'case "$*" in *--control-show*) echo "{sums}" ;; *) echo "installed {version}" ;; esac'
VERSION = "0.1.0+20261201.100000.gabc1234"


def package(control: Control, version: str, sums: str) -> str:
    """Make a package of ours with this list of its files' hashes; the setting that names it."""
    folder = control.folder / "package"
    (folder / "DEBIAN").mkdir(parents=True)
    (folder / "DEBIAN/control").write_text(PACKAGE.format(version=version))
    (folder / "DEBIAN/md5sums").write_text(sums)
    file = control.folder / f"appliance_{version}_all.deb"
    run(("dpkg-deb", "--build", "--root-owner-group", str(folder), str(file)), timeout_seconds=30, check=True)
    return f"agent_deb={file}"


UPGRADES = [
    pytest.param(VERSION, "one  f", VERSION, (), "", id="the_same"),
    pytest.param(
        *(VERSION, "two  f", VERSION, ()),
        f"commune-b has version {VERSION} of our package with other files than ",
        id="other_files_of_one_version",
    ),
    pytest.param("0.1.0+20261130.235959.gfff0000", "two  f", VERSION, (), "", id="an_older_one"),
    pytest.param("0.1.0", "two  f", "0.4.0+20271201.100000.gabc1234", (), "", id="one_of_three_releases_ago"),
    pytest.param(
        *("0.1.0+20261201.100001.g0000000", "two  f", VERSION, ()),
        f"of our package, and {VERSION} is older. If it is to go back, say -e agent_downgrade=true",
        id="a_newer_one",
    ),
    pytest.param(
        *("0.1.0+20261201.100001.g0000000", "two  f", VERSION, ("-e", "agent_downgrade=true")),
        *("",),
        id="a_newer_one_that_is_to_go_back",
    ),
    pytest.param(
        *("0.0.9", "two  f", VERSION, ()),
        f"and {VERSION} takes over from 0.1.0 or later. Upgrade it to 0.1.0 first: in a checkout of the tag "
        "v0.1.0, make deb, and playbooks/upgrade.yml --limit commune-b",
        id="one_too_old",
    ),
]


@pytest.mark.parametrize(("there", "sums", "brought", "words", "why"), UPGRADES)
def test_a_node_takes_later_versions_in_one_step_and_is_refused_other_ones_before_any_change(
    there: str,
    sums: str,
    brought: str,
    words: tuple[str, ...],
    why: str,
    control: Control,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    control.is_local("commune-b")
    programs = control.program("dpkg-query", INSTALLED.format(sums=sums, version=there))
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    looked = control.folder / "looked.yaml"
    looked.write_text((ROOT / "playbooks/upgrade.yml").read_text().partition("\n- name: Upgrade one node")[0])
    chosen = ("--limit", "commune-b", "-e", package(control, brought, "one  f\n"), *words)
    played = control.play(str(looked), *chosen)
    said = " ".join((played.stdout + played.stderr).decode().split())
    assert played.exit_code == (2 if why else 0), said
    assert why in said
    assert "changed=0" in said


def test_a_node_that_is_off_is_left_out_of_an_upgrade_and_stops_no_other_one(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    (port,) = free_ports("127.0.0.1", 1)
    for node in ("hermitage", "commune-b", "commune-c"):
        control.is_local(node)
    control.change(("10.77.1.10, port: 22", f"127.0.0.1, port: {port}"))
    programs = control.program("dpkg-query", INSTALLED.format(sums="one  f", version="0.1.0"))
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    looked = control.folder / "upgrade.yaml"
    first = (ROOT / "playbooks/upgrade.yml").read_text().partition("\n- name: Upgrade one node")[0]
    next_play = {"hosts": "nodes", "gather_facts": False, "serial": 1, "max_fail_percentage": 0, "tasks": [GOES_ON]}
    looked.write_text(f"{first}\n- {json.dumps(next_play)}\n")
    played = control.play(str(looked), "-e", package(control, VERSION, "one  f\n"))
    said = (played.stdout + played.stderr).decode()
    assert played.exit_code == 4, said
    assert "commune-a could not be reached at: agent : Look which version of our package is there" in said
    assert re.findall(r'"msg": "(\S+) goes on"', said) == ["hermitage", "commune-b", "commune-c"]


GOES_ON = {"ansible.builtin.debug": {"msg": "{{ inventory_hostname }} goes on"}}


def test_a_package_that_is_none_is_told_before_any_change(control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    control.is_local("commune-b")
    programs = control.program("dpkg-query", INSTALLED.format(sums="one  f", version=VERSION))
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    file = control.folder / f"appliance_{VERSION}_all.deb"
    file.write_text("cut short\n")
    played = control.play("preflight.yml", "--limit", "commune-b", "-e", f"agent_deb={file}")
    said = " ".join((played.stdout + played.stderr).decode().split())
    assert played.exit_code == 2
    assert f"{file} is no whole package, or dpkg-deb is missing here. Make it again: make deb" in said
    assert "changed=0" in said


REFUSED = {
    ("pki", "its_key_in_clear"): (
        {"pki_key": "{{ appliance_inventory }}/pki/intermediate.key"},
        "/pki/intermediate.key is not encrypted. Encrypt it now: ansible-vault encrypt ",
    ),
    ("hardening", "root_without_a_key"): (
        {"base_root_keys": 0},
        "root of commune-b has no key in ~root/.ssh/authorized_keys; without one nobody could log in after",
    ),
    ("base", "another_system"): (
        {"base_system": "debian 12"},
        "commune-b runs debian 12; the appliance needs Debian 13.",
    ),
    ("firewall", "a_network_that_is_none"): (
        {"firewall_operators": ["192.0.2.0/24", "192.0.2.1 accept"]},
        "firewall_operators names 192.0.2.1 accept; write networks such as 192.0.2.0/24",
    ),
    ("mesh", "no_address_in_it"): ({}, "commune-b has no address in the mesh; give it one in territory.yml"),
    ("mirror", "packages_without_the_key_that_signed_them"): (
        {"mirror_has_ours": True, "mirror_key": "{{ appliance_inventory }}/packages.asc"},
        "is signed, and {folder}/packages.asc is missing, by which nodes check these packages",
    ),
    ("mirror", "two_of_them"): (
        {"groups_named": ["mirror"]},
        "territory.yml gives the role mirror to hermitage, commune-b; only one node can have it.",
    ),
    ("coordination", "two_voters"): (
        {"groups_named": ["voter"]},
        "territory.yml gives the role voter to commune-b: three or five nodes can vote, or none.",
    ),
    ("share", "no_network_of_pcs"): (
        {"share_services": [{"share": "Documents"}], "accounts_synced": {}},
        "No PC could come: name the networks of the PCs as lan of the site commune-b in territory.yml.",
    ),
    ("storage", "fewer_helpers_than_must_answer"): (
        {
            "storage_seen": {"rc": 0},
            "storage_unlock": "tang",
            "storage_tang_servers": ["hermitage", "commune-b"],
        },
        "commune-b opens its volume with 2 others, and storage_tang_servers names hermitage besides it.",
    ),
    ("control", "a_private_key_left_in_the_folder"): (
        {},
        "{folder}/pki/intermediate.key, {folder}/territory: a private key in clear, which would be copied to commune-b",
    ),
    ("storage", "no_address_that_helpers_let_in"): (
        {
            "storage_seen": {"rc": 0},
            "storage_unlock": "tang",
            "storage_tang_servers": ["hermitage", "commune-a"],
            "ansible_host": "fd00::2",
        },
        "which let in nodes by their IPv4 addresses alone, and its address in territory.yml is fd00::2. Give it ",
    ),
    ("storage", "a_node_that_its_helpers_would_not_know"): (
        {
            "storage_seen": {"rc": 0},
            "storage_unlock": "tang",
            "storage_tang_servers": ["hermitage", "commune-a"],
            "appliance_mesh": "10.64.0.3",
            "appliance_mesh_port": 0,
        },
        "with commune-a, hermitage, and mesh_port in territory.yml is 0 at commune-b: behind a carrier's NAT",
    ),
    ("storage", "a_helper_that_nobody_could_ask"): (
        {
            "storage_seen": {"rc": 0},
            "storage_unlock": "tang",
            "storage_tang_servers": ["hermitage", "commune-c"],
            "appliance_mesh": "10.64.0.3",
        },
        "and mesh_port in territory.yml is 0 at commune-c: behind a carrier's NAT a node neither asks ",
    ),
    ("vault", "a_state_that_its_units_do_not_know"): (
        {"agent_state": "/srv/elsewhere"},
        "agent_state is /srv/elsewhere, but the units of the vault know /srv/appliance/node only",
    ),
}
"""By role and case: what it finds or is told, and its words. `groups_named` are given to commune-b, too."""


def refusal(role: str, name: str, found: dict[str, Any]) -> dict[str, Any]:
    """The play of one case, which ends well when the role refuses."""
    groups = found.get("groups_named", [])
    more = [{"ansible.builtin.add_host": {"name": "commune-b", "groups": groups}}] if groups else []
    asked = {"ansible.builtin.import_role": {"name": role, "tasks_from": "preflight"}, "vars": found}
    told = {"ansible.builtin.debug": {"msg": f"{role} {name}: {{{{ ansible_failed_result.msg }}}}"}}
    tasks = [*more, {"block": [asked], "rescue": [told]}]
    return {"hosts": "commune-b", "connection": "local", "gather_facts": False, "tasks": tasks}


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> tuple[Control, str]:
    """All cases, played by one program; what it said."""
    control = control_in(tmp_path_factory.mktemp("refusals"))
    (control.folder / "pki").mkdir()
    (control.folder / "pki/intermediate.key").write_text("-----BEGIN PRIVATE KEY-----\n")
    (control.folder / "pki/other.key").write_text("$ANSIBLE_VAULT;1.1;AES256\n3161\n")
    (control.folder / "territory").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    (control.folder / "host_vars").mkdir()
    (control.folder / "host_vars/commune-c.yml").write_text("appliance_mesh: 10.64.0.4\nappliance_mesh_port: 0\n")
    playbook = control.folder / "refusals.yaml"
    playbook.write_text(json.dumps([refusal(*case, found) for case, (found, _) in REFUSED.items()]))
    played = control.play(str(playbook))
    assert played.exit_code == 0, played.stdout.decode()
    return control, played.stdout.decode()


@pytest.mark.parametrize("case", REFUSED, ids="-".join)
def test_a_role_refuses_before_any_change(refused: tuple[Control, str], case: tuple[str, str]) -> None:
    control, said = refused
    [line] = [line for line in said.splitlines() if f'"msg": "{" ".join(case)}: ' in line]
    assert REFUSED[case][1].format(folder=control.folder) in line


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("-e", "agent_deb="), "Make it there: make deb"),
        (("-e", "agent_territory_key=/nowhere/key.pub"), "/nowhere/key.pub is missing: the public half"),
    ],
)
def test_what_the_control_machine_lacks_is_said_before_any_machine_is_asked(
    control: Control, words: tuple[str, ...], sentence: str
) -> None:
    """Said after the role base, it costs who follows the page from zero to safe five minutes."""
    result = control.play("site.yml", *words)
    assert result.exit_code == 2
    said = " ".join(result.stdout.decode().split())
    assert sentence in said
    assert "Look at the data volume" not in said
