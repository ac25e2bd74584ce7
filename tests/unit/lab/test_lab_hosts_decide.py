"""The decisions of a lab, shown before they are carried out; a machine that cannot have one gets a sentence."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from appliance.config.load import load
from appliance.errors import Forbidden, NotFound, Unsupported, UsageError
from appliance.host.files import make_private_folder
from appliance_lab.cli.lab_cmd import lab
from appliance_lab.hosts import kernel, needs
from appliance_lab.hosts.decide import Seen, decide_down, decide_power_off, decide_up, decide_wipe
from appliance_lab.hosts.faults import Fault
from appliance_lab.hosts.kernel import FEATURES
from appliance_lab.hosts.lab import Lab
from appliance_lab.hosts.paths import HostPaths
from appliance_lab.hosts.plan import Plan, make_plan
from appliance_lab.hosts.provision import begin
from appliance_lab.hosts.state import State

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def plan() -> Plan:
    return make_plan(load(ROOT / "inventory/lab"), "test")


def test_up_makes_what_is_missing_and_leaves_what_runs(plan: Plan) -> None:
    seen = Seen(
        on=frozenset({"commune-a"}),
        with_disk=frozenset({"commune-a", "commune-b"}),
        namespaces=frozenset(plan.namespaces),
        base=True,
        faults={"commune-a--commune-b": Fault(cut=True)},
    )
    assert [str(it) for it in decide_up(plan, seen)] == [
        "hermitage: is switched on with a new disk (it has none).",
        "commune-a: is left as it is (it runs).",
        "commune-b: is switched on (it is off).",
        "commune-c: is switched on with a new disk (it has none).",
        "commune-a--commune-b: stays cut (until it is healed).",
    ]


def test_a_first_up_makes_the_base_and_the_network_too(plan: Plan) -> None:
    first, second, *_ = decide_up(plan, Seen())
    assert (first.about, second.does) == ("base image", f"{len(plan.namespaces)} namespaces are made")


def test_a_wipe_of_a_box_that_is_off_only_takes_its_disk(plan: Plan) -> None:
    node = plan.node("commune-b")
    whole = decide_wipe(node, Seen(on=frozenset({"commune-b"}), with_disk=frozenset({"commune-b"})))
    assert [it.does for it in whole] == ["loses its power", "loses its disk", "is switched on with a new disk"]
    assert decide_wipe(node, Seen(with_disk=frozenset({"commune-b"}))) == whole[1:]


def test_switching_off_what_is_off_is_no_deed(plan: Plan) -> None:
    assert decide_power_off(plan.node("commune-b"), Seen(), cut=True).does == "is left as it is"


def test_only_the_last_lab_closes_the_pool() -> None:
    assert [it.about for it in decide_down(Seen())] == ["pool"]
    assert decide_down(Seen(others=frozenset({"another"}))) == ()


def test_who_is_not_root_is_told_what_works_all_the_same() -> None:
    with pytest.raises(Forbidden, match=r"needs root.*make demo"):
        needs.check_account(1000)
    needs.check_account(0)


def test_a_missing_program_is_named_with_its_package() -> None:
    with pytest.raises(NotFound, match=r"needs systemd-nspawn, nft.*make demo.*apt install systemd-container nftables"):
        needs.check_found({"nft", "systemd-nspawn"})


def test_a_kernel_that_can_do_no_lab_is_told_so() -> None:
    found = {feature.name: True for feature in FEATURES}
    needs.check_kernel({**found, kernel.NETEM: False})
    with pytest.raises(Unsupported, match=r"needs nftables.*make demo"):
        needs.check_kernel({**found, kernel.NFT: False})


def test_a_kernel_without_networks_of_their_own_is_not_told_of_nftables_which_it_may_have() -> None:
    none = {feature.name: False for feature in FEATURES}
    with pytest.raises(Unsupported, match=r"needs network namespaces, veth pairs and bridges.*make demo"):
        needs.check_kernel(none)


def test_a_lab_whose_mesh_nothing_can_make_is_not_provisioned(plan: Plan, tmp_path: Path) -> None:
    paths = HostPaths(tmp_path)
    own = make_private_folder(paths.lab(plan.lab).root)
    shutil.copy(ROOT / "inventory/lab/territory.yml", own)
    offered = kernel.backends(
        {feature.name: feature.name not in (kernel.WIREGUARD, kernel.TUN) for feature in FEATURES}
    )
    told: list[str] = []
    lab = Lab(paths, plan, State(plan.lab, "", 0, backends=offered), told.append)
    with pytest.raises(Unsupported, match=r"mesh of the nodes is unsupported.*make demo"):
        begin(lab)
    assert (told, [it.name for it in own.iterdir()]) == ([], ["territory.yml"])


@pytest.mark.parametrize("verb", ["up", "down", "status", "heal", "provision"])
def test_a_name_that_leads_elsewhere_is_refused_before_anything_is_touched(verb: str) -> None:
    refused = CliRunner().invoke(lab, [verb, "--name", "../../../srv"])
    assert isinstance(refused.exception, UsageError)
