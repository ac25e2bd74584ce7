"""Decisions that only a signed act makes, between real programs: a promotion, a quarantine."""

from __future__ import annotations

import json
import re
import signal

import pytest

from appliance.backup.vault.evidence import read_stored_header
from appliance.backup.vault.replicas import replica_of
from appliance.errors import Refused
from appliance.node.acts import load_acts
from appliance.trust.act import ANY_SERVICE
from tests.integration.failover.conftest import HOME, LEASE_SECONDS, SERVICE, STANDBY, Begin, violated
from tests.integration.failover.former_writer import offer_again


def test_a_quarantine_that_is_typed_at_one_node_closes_the_vaults_of_the_others(begin: Begin) -> None:
    world = begin("local-first")
    offer_again(world)
    act = world.sign("quarantine", HOME, ANY_SERVICE)
    typed = world.node(STANDBY).cli("failover", "quarantine", HOME, "--act", str(act))
    told = re.search(rb"Next, at a standby of docs-a: appliance .*failover promote docs-a --act FILE", typed.stderr)
    assert told, typed.stderr
    world.wait_for(HOME, "FENCED")
    vault = world.territory.open("commune-b")
    world.wait(lambda: load_acts(vault.layout.acts, vault.bundle), "a node that never serves it hears of it too")
    world.wait(lambda: list(vault.journal.events("act")), "and writes that down")
    for node in (world.territory.open(STANDBY), vault):
        (event,) = node.journal.events("act")
        assert (event["act"], event["subject"], event["reason"]) == ("quarantine", HOME, "a run"), "typed or brought"
    with pytest.raises(Refused, match=r"commune-a is in quarantine until .*, by maintenance"):
        offer_again(world)
    act = world.sign("quarantine", HOME, ANY_SERVICE, ends=True)
    world.node(STANDBY).cli("failover", "quarantine", HOME, "--act", str(act))
    world.wait_for(HOME, "ACTIVE")
    world.wait(lambda: len(load_acts(vault.layout.acts, vault.bundle)) == 2, "it hears of that in the same way")
    offer_again(world)


def test_the_living_are_replaced_by_a_signed_act_only_and_what_they_wrote_since_is_kept(begin: Begin) -> None:
    world = begin("local-first")
    node = world.node(STANDBY)
    refused = node.cli("failover", "promote", SERVICE, check=False)
    assert refused.exit_code == 8
    assert b"commune-a still holds it. Sign it: appliance act sign promote hermitage --service docs-a" in refused.stderr
    wrong = world.sign("lost", HOME, SERVICE)
    assert (
        b'this act is not "promote" of hermitage in force now'
        in node.cli("failover", "promote", SERVICE, "--act", str(wrong), check=False).stderr
    )
    act = world.sign("promote", STANDBY, SERVICE)
    programs = node.layout.root / "programs.json"
    programs.rename(programs.with_suffix(".aside"))
    nothing = node.cli("failover", "promote", SERVICE, "--act", str(act), check=False)
    assert (nothing.exit_code, b"hermitage is not set up to serve docs-a" in nothing.stderr) == (8, True)
    programs.with_suffix(".aside").rename(programs)
    planned = json.loads(node.cli("failover", "promote", SERVICE, "--act", str(act), "--dry-run", "--json").stdout)
    assert 0 <= planned["rpo_seconds"] < 600, "as old as the newest generation that is held"
    assert planned["rto_seconds"] is None, "no drill was made"
    node.cli("backup", "drill", SERVICE, "--all", check=False)
    planned = json.loads(node.cli("failover", "promote", SERVICE, "--act", str(act), "--dry-run", "--json").stdout)
    assert LEASE_SECONDS <= planned["rto_seconds"] < 120
    world.agent(HOME).send_signal(signal.SIGSTOP)  # it hears of nothing
    world.tell("operator", 0, "proof-of-death", of=HOME, kind="act")
    node.cli("failover", "promote", SERVICE, "--act", str(act))
    assert world.add(70) == HOME, "nothing tells the service that it was replaced"
    world.wait(lambda: world.told(STANDBY).get("epoch") == 3, "the voters have granted it")
    world.wait(lambda: world.program(STANDBY).running(), "it is served at the standby")
    world.agent(HOME).send_signal(signal.SIGCONT)
    world.wait_for(HOME, "STANDBY")
    assert world.add(71) == STANDBY
    branch = world.node(HOME).layout.service(SERVICE).root / "branches/2"
    assert "70" in next(branch.rglob("numbers")).read_text().split()
    assert violated(world) == {}


@pytest.mark.parametrize("lives", [True, False])
def test_a_promotion_goes_on_from_the_clean_generation_that_its_act_names(begin: Begin, lives: bool) -> None:
    world = begin("local-first")
    node, vault = world.node(STANDBY), world.territory.open(STANDBY)
    clean = replica_of(vault, SERVICE).stored()[-1].name
    assert world.add(70) == HOME
    world.node(HOME).cli("backup", "run", SERVICE)
    assert replica_of(vault, SERVICE).stored()[-1].name != clean
    if not lives:
        world.kill(HOME)
        world.wait_for(STANDBY, "RO_SERVE")
    words = ("failover", "promote", SERVICE, "--act")
    never = world.sign("promote", STANDBY, SERVICE, generation="00002.0000000099.0123456789abcdef")
    assert node.cli(*words, str(never), check=False).exit_code == 3
    named = str(world.sign("promote", STANDBY, SERVICE, generation=clean))
    planned = json.loads(node.cli(*words, named, "--dry-run", "--json").stdout)
    sealed = read_stored_header(vault, replica_of(vault, SERVICE), clean).time
    assert (planned["generation"], planned["saved"]) == (clean, sealed), "all that was written since is left behind"
    node.cli(*words, named)
    world.wait_for(STANDBY, "ACTIVE")
    numbers = world.read()["numbers"]
    assert 2 in numbers
    assert 70 not in numbers


def test_a_standby_without_a_copy_is_given_nothing_and_takes_nothing_until_it_has_one(begin: Begin) -> None:
    world = begin("exclusive")
    node, held = world.node(STANDBY), replica_of(world.territory.open(STANDBY), SERVICE).generations
    held.rename(aside := held.with_name("aside"))
    held.mkdir()
    act = str(world.sign("promote", STANDBY, SERVICE))
    for words in (("move", SERVICE, STANDBY), ("promote", SERVICE, "--act", act)):
        told = node.cli("failover", *words, check=False)
        assert (told.exit_code, told.stdout) == (8, b"")
        assert b"hermitage has no replica to serve: it holds no generation." in told.stderr
    world.kill(HOME)
    world.wait(lambda: '"standby.unfit"' in "".join(world.history()), "it could take it but for that")
    assert world.add(100) == ""
    held.rmdir()
    aside.rename(held)
    world.wait_for(STANDBY, "ACTIVE")
    assert world.add(101) == STANDBY
    assert violated(world) == {}
