"""The agent's look at a node's folder: one damaged service hides no other."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.agent.memory import Memory
from appliance.agent.observe import Observer, agent_lock, now_of, see_agent
from appliance.backup.chain.chain import chain_of
from appliance.backup.vault.replicas import replica_of
from appliance.config.load import load
from appliance.failover import kept_acts
from appliance.host.files import locked, make_private_folder
from appliance.monitor.view import AgentSeen, View, Written
from appliance.monitor.view import Grant as Told
from appliance.node.handle import Node
from appliance.territory.implicit import with_implicit
from appliance.territory.model import Schedule
from appliance.trust.act import make_act
from appliance.trust.generation import NO_PARENT, Entry, make_header, read_header, render_list
from appliance.trust.grant import Grant, make_request
from appliance.trust.keys import create_key, load_key
from appliance_lab.processes.territory import ProcessTerritory
from tests.worlds.demo import INVENTORY, signed_territory, with_operator

SERVICE = "docs-a"


@pytest.fixture
def made(tmp_path: Path) -> ProcessTerritory:
    """The demo's territory with a second service and an operator's key; keys and bundle only, nothing runs."""
    create_key(tmp_path / "maintenance")
    plan = with_operator(load(INVENTORY), tmp_path / "maintenance")
    second = replace(plan.services["docs-a"], name="base-a")
    return signed_territory(tmp_path / "t", replace(plan, services={**plan.services, "base-a": second}))


def look(node: Node, observer: Observer | None = None) -> View:
    return (observer or Observer()).look(node, now_of(node), Memory(), thorough=True)


def test_a_new_node_waits_for_its_grants(made: ProcessTerritory) -> None:
    seen = look(made.open("commune-a"))
    assert {it.service for it in seen.written} == {"docs-a", "base-a"}
    assert all((it.begun, it.grant, it.newest) == (False, None, None) for it in seen.written)
    assert seen.held == ()
    assert (seen.serial, seen.unread) == (1, {})


def test_a_holder_sees_what_should_come_and_a_spare_sees_nothing(made: ProcessTerritory) -> None:
    assert {it.service for it in look(made.open("hermitage")).held} == {"docs-a", "base-a"}
    assert all(it.newest is None and it.expected for it in look(made.open("hermitage")).held)
    spare = made.open("hermitage").bundle.terms("docs-a").spares[0]
    assert "docs-a" not in {it.service for it in look(made.open(spare)).held}


def test_a_damaged_service_hides_no_other(made: ProcessTerritory) -> None:
    node = made.open("commune-a")
    (make_private_folder(node.service("docs-a").chain / "grants") / "00002").write_bytes(b"rubbish")
    seen = look(node)
    assert [it.service for it in seen.written] == ["base-a"]
    assert list(seen.unread) == ["docs-a"]


def test_who_has_the_service_now_is_told_by_the_vault_before_the_chain_learns_it(made: ProcessTerritory) -> None:
    home, standby = made.open("commune-a"), made.open("hermitage")
    [first, newer] = (granted(made, name, known) for name, known in (("commune-a", 0), ("hermitage", 2)))
    for node in (home, standby):
        chain_of(node, SERVICE).add_grant(first)
    assert grant_of(home) == Told(2, "commune-a", ours=True)
    chain_of(standby, SERVICE).add_grant(newer)
    assert [it.service for it in look(standby).written] == [SERVICE], "it was taken over"
    for node, grant in ((home, newer), (standby, granted(made, "commune-a", 4))):
        make_private_folder(replica_of(node, SERVICE).grants)
        (replica_of(node, SERVICE).grants / f"{grant.epoch:05d}").write_bytes(grant.document.raw)
    assert grant_of(home) == Told(4, "hermitage", ours=False)
    assert look(standby).written == (), "its home has it back"


def grant_of(node: Node) -> Told | None:
    return next(it.grant for it in look(node).written if it.service == SERVICE)


def granted(made: ProcessTerritory, writer: str, known: int) -> Grant:
    node = made.open(writer)
    asked = {"service": SERVICE, "repository": "0" * 64, "writer": writer, "known_epoch": known, "reason": "a test"}
    request = make_request(load_key(node.signing_key), **asked)  # type: ignore[arg-type]
    return node.bundle.granters.read(made.grant(request, writer))


def test_the_envelopes_of_the_writer_before_count_until_the_first_backup_here(made: ProcessTerritory) -> None:
    """A node that took over, or replaced a machine, has made no envelope itself yet."""
    standby, chain = made.open("hermitage"), chain_of(made.open("hermitage"), SERVICE)
    assert standby.bundle.recovery == ""
    writer, grant = load_key(made.open("commune-a").signing_key), granted(made, "commune-a", 0)
    entries = tuple(Entry(f"envelopes/{name}.age", "ab" * 32, 5) for name in ("hermitage", "recovery"))
    listing = render_list(entries)
    sealed = {"service": SERVICE, "epoch": 2, "sequence": 1, "previous": NO_PARENT, "time": "2026-11-25T08:00:00Z"}
    header = make_header(writer, **sealed, listing=listing, entries=entries)  # type: ignore[arg-type]
    for known in (grant, granted(made, "hermitage", 2)):
        chain.add_grant(known)
    chain.add(read_header(header, grant.writer_key), listing)
    assert written_at(standby).inherited_envelopes == {"hermitage", "recovery"}
    (make_private_folder(standby.service(SERVICE).envelopes) / "recovery.age").write_bytes(b"made here")
    assert written_at(standby).inherited_envelopes == frozenset(), "its own is there by now"
    assert list(written_at(standby).envelopes) == ["recovery"]


def written_at(node: Node) -> Written:
    (found,) = (it for it in look(node).written if it.service == SERVICE)
    return found


def test_a_schedule_that_makes_no_sense_hides_no_other(made: ProcessTerritory) -> None:
    broken = replace(made.territory.services["docs-a"], schedule=Schedule(daily_at="25:00"))
    made.territory = replace(made.territory, services={**made.territory.services, "docs-a": broken})
    made.sign()
    seen = look(made.open("commune-a"))
    assert [it.service for it in seen.written] == ["base-a"]
    assert "hour" in seen.unread["docs-a"]


def test_accounts_that_were_changed_are_seen_at_the_nodes_own_service_alone(made: ProcessTerritory) -> None:
    made.territory = with_implicit(replace(made.territory, own_backup=True))
    made.sign()
    node = made.open("commune-a")
    make_private_folder(node.layout.accounts.parent)
    node.layout.accounts.write_text("{}")
    os.utime(node.layout.accounts, (1000, 1000))
    changed = {it.service: it.accounts_changed for it in look(node).written}
    assert changed == {"docs-a": 0, "base-a": 0, "appliance-commune-a": 1000}


def test_a_new_bundle_is_seen_at_the_next_look(made: ProcessTerritory) -> None:
    observer = Observer()
    assert look(made.open("commune-b"), observer).serial == 1
    made.sign()
    assert look(made.open("commune-b"), observer).serial == 2


def test_acts_are_checked_once_and_when_one_comes(made: ProcessTerritory, monkeypatch: pytest.MonkeyPatch) -> None:
    node, observer = made.open("commune-b"), Observer()
    checks: list[int] = []
    really = kept_acts.judge_act
    monkeypatch.setattr(kept_acts, "judge_act", lambda *given: (checks.append(1), really(*given))[1])
    look(node, observer)
    look(node, observer)
    fields = {"act": "lost", "subject": "hermitage", "service": "any", "operator": "maintenance", "reason": "flood"}
    times = {"start": "2020-01-01T00:00:00Z", "end": "2099-01-01T00:00:00Z"}
    raw = make_act({**fields, **times}, made.root.parent / "maintenance")
    (make_private_folder(node.layout.acts) / "act").write_bytes(raw)
    look(node, observer)
    seen = look(node, observer)
    assert len(checks) == 1
    assert all(it.lost == ("hermitage",) for it in seen.held)


def test_a_running_agent_is_told_by_its_lock(made: ProcessTerritory) -> None:
    layout = made.open("commune-a").layout
    assert see_agent(layout) == AgentSeen(runs=False)
    with locked(agent_lock(layout), what="the agent"):
        os.utime(agent_lock(layout), (1000, 1000))
        made_at = layout.measures.parent.stat().st_mtime
        assert see_agent(layout) == AgentSeen(runs=True, looked=1000, measured=made_at)
        layout.measures.write_text("")
        os.utime(layout.measures, (2000, 2000))
        assert see_agent(layout) == AgentSeen(runs=True, looked=1000, measured=2000)
    assert see_agent(layout) == AgentSeen(runs=False)
