"""The nodes together: one version, one bundle, everybody reaches everybody, and the voters have a majority."""

from __future__ import annotations

import json

import pytest

from tests.acceptance.looking import Looked


@pytest.fixture(scope="module")
def versions() -> dict[str, str]:
    """The version of our package on each host that was asked."""
    return {}


def test_it_has_the_same_version_as_the_others(node: Looked, versions: dict[str, str]) -> None:
    versions[node.name] = node.said("version")
    first, other = next(iter(versions.items()))
    told = f"it has version {versions[node.name]} of our package, and {first} has {other}. Run playbooks/upgrade.yml."
    node.require(versions[node.name] == other, told)


def test_it_lives_by_the_bundle_that_lies_beside_territory_yml(node: Looked) -> None:
    file = node.inventory / "bundle"
    node.require(
        file.is_file(), f"{file} is missing, so nobody knows the newest bundle: docs/how-to/control-machine.md"
    )
    newest = json.loads(file.read_bytes().partition(b"\n")[0])["serial"]
    (own,) = node.judged("node")
    serial = own["bundle_serial"]
    node.require(serial == newest, f"it lives by bundle {serial}, the newest is {newest}. Run the playbook site.")


def test_every_other_vault_answers_it(node: Looked) -> None:
    silent = node.answer("ping", 0, 7)["silent"]
    told = "; ".join(f"{name}: {why}" for name, why in silent.items())
    node.require(not silent, f"it does not reach the vault of {told}")


def test_it_sees_all_voters_and_one_leader(voter: Looked) -> None:
    found = voter.answer("voters")["voters"]
    declared, known = set(voter.variables["groups"]["voter"]), {it["node"] for it in found}
    told = ", ".join(sorted(declared ^ known))
    voter.require(known == declared, f"the voters and the territory differ in {told}: docs/how-to/voters.md")
    voter.require(sum(it["leads"] for it in found) == 1, "no voter leads. On it: journalctl -u appliance-voter")
