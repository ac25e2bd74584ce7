"""Agents left to themselves: the first backup, peers that go and return, a loss; nobody types anything."""

from __future__ import annotations

import shutil
from pathlib import Path

from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.store import Replica
from appliance.backup.writer import writer
from appliance.node.acts import keep_act
from appliance.trust.act import make_act
from appliance.units import MIB
from appliance_lab.processes.territory import ProcessTerritory
from tests.integration.agent.watch import SERVICE, agent_of, generations, is_safe, remembered, status
from tests.waiting import wait_until

RSS_BYTES_MAX = 60 * MIB


def rss_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


def test_the_first_backup_is_made_and_becomes_safe_and_its_names_are_known(territory: ProcessTerritory) -> None:
    origin, standby, blind = (territory.nodes[name] for name in ("commune-a", "hermitage", "commune-b"))
    for node in (origin, standby, blind):
        node.start_agent()
    wait_until(lambda: is_safe(territory), "docs-a is safe")
    newest = f"{2:05d}.{1:010d}"
    for node in (origin, standby):
        wait_until(lambda node=node: remembered(node, f"catalogue {SERVICE}"), f"{node.name} knows its names")
        assert remembered(node, f"catalogue {SERVICE}").mark.startswith(newest)
        assert node.layout.service(SERVICE).catalogue.exists()
    assert not blind.layout.service(SERVICE).catalogue.exists()
    wait_until(lambda: status(origin)[0] == 0 and status(standby)[0] == 0, "all is well")
    assert "safe: 2 of 2 (commune-b, hermitage)" in status(origin)[2]
    assert "held for others: generation 2.1" in status(blind)[2]
    assert rss_bytes(agent_of(origin).pid) < RSS_BYTES_MAX


def test_an_agent_that_starts_again_goes_on_where_it_was(territory: ProcessTerritory) -> None:
    origin = territory.nodes["commune-a"]
    origin.start_agent()
    wait_until(lambda: is_safe(territory), "docs-a is safe")
    wait_until(lambda: remembered(origin, f"catalogue {SERVICE}"), "its names are known")
    agent = origin.processes.pop()
    agent.terminate()
    assert agent.wait(30) == 0
    before = origin.layout.journal.read_text()
    origin.start_agent()
    lock = origin.layout.run / "agent.lock"
    looked = {lock.stat().st_mtime_ns}
    wait_until(lambda: looked.add(lock.stat().st_mtime_ns) or len(looked) > 3, "it has looked three times")
    assert "work-begun" not in origin.layout.journal.read_text().removeprefix(before)
    assert generations(territory) == 1


def test_a_peer_that_was_down_is_caught_up_with_when_it_returns(territory: ProcessTerritory) -> None:
    origin, peer = territory.nodes["commune-a"], territory.nodes["commune-b"]
    peer.kill()
    origin.start_agent()
    wait_until(lambda: remembered(origin, f"push {SERVICE} commune-b"), "the push to commune-b has failed")
    code, _, text = status(origin)
    assert code == 1
    assert "NOT SAFE YET: 1 of 2 (hermitage)" in text
    assert "sending generation 2.1 to commune-b failed" in text
    peer.start_sshd()
    wait_until(lambda: is_safe(territory), "docs-a is safe")
    assert generations(territory) == 1, "the same generation was brought, not another one made"
    assert status(origin)[0] == 0


def test_holders_hand_on_what_they_hold_when_a_signed_act_says_somebody_is_lost(
    territory: ProcessTerritory, operator_key: Path
) -> None:
    origin, holder = territory.nodes["commune-a"], territory.nodes["commune-b"]
    origin.start_agent()
    wait_until(lambda: is_safe(territory), "docs-a is safe")
    origin.kill()
    territory.nodes["hermitage"].kill()
    fields = {"act": "lost", "service": "any", "operator": "maintenance", "reason": "flood"}
    times = {"start": "2020-01-01T00:00:00Z", "end": "2099-01-01T00:00:00Z"}
    raw = make_act({**fields, **times, "subject": "hermitage"}, operator_key)
    holder.start_agent()
    keep_act(holder.layout.acts, raw, territory.open("commune-b").bundle)
    spare = replica_of(territory.open("commune-c"), SERVICE)
    wait_until(lambda: [item.name for item in spare.stored() if item.held], "commune-c holds it")
    assert "hermitage is lost, by a signed act" in status(holder)[2]


def test_holders_compare_and_one_brings_what_another_lacks_without_the_origin(territory: ProcessTerritory) -> None:
    origin, holder, away = (territory.nodes[name] for name in ("commune-a", "commune-b", "hermitage"))
    away.kill()
    origin.start_agent()
    wait_until(lambda: remembered(origin, f"push {SERVICE} hermitage"), "the push to hermitage has failed")
    origin.kill()
    away.start_sshd()
    holder.start_agent()
    there = replica_of(territory.open("hermitage"), SERVICE)
    wait_until(lambda: [item.name for item in there.stored() if item.held], "hermitage holds it")
    wait_until(lambda: remembered(holder, f"replicate {SERVICE} hermitage"), "commune-b knows it")
    assert remembered(holder, f"exchange {SERVICE}").to_bring == ("hermitage",)


def test_a_box_in_the_place_of_another_does_not_wait_an_hour_for_older_generations(
    territory: ProcessTerritory,
) -> None:
    """Its writer brings it the newest alone; the other replica node, which has just compared, is asked for the rest."""
    origin, holder, emptied = (territory.nodes[name] for name in ("commune-a", "commune-b", "hermitage"))
    writer.run(territory.open(origin.name), SERVICE)
    holder.start_agent()
    wait_until(lambda: remembered(holder, f"exchange {SERVICE}"), "commune-b has compared")
    shutil.rmtree(replica_of(territory.open(emptied.name), SERVICE).root)
    writer.run(territory.open(origin.name), SERVICE)
    there = replica_of(territory.open(emptied.name), SERVICE)
    assert len(_held(there)) == 1
    emptied.start_agent()
    wait_until(lambda: len(_held(there)) == 2, "hermitage holds the older one, too")
    wait_until(lambda: "did not arrive here yet" not in status(emptied)[2], "and says nothing of it any more")


def _held(replica: Replica) -> list[str]:
    return [item.name for item in replica.stored() if item.held]
