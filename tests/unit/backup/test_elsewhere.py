"""A service that another node has: what is said about it takes it from nobody who serves it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.agent.memory import Memory
from appliance.agent.observe import Observer, now_of
from appliance.backup.chain.chain import chain_of
from appliance.backup.chain.rollback import PeerIsAhead, load, look_first, recorded
from appliance.backup.peers.elsewhere import comes_back, continued_here, server_elsewhere
from appliance.cli.backup.resync_doubt import check_heard, check_taking
from appliance.config.load import load as load_plan
from appliance.errors import Refused
from appliance.host.files import make_private_folder
from appliance.monitor.next_steps import next_steps
from appliance.monitor.states import Reason
from appliance.monitor.view import View
from appliance.monitor.written import judge_written
from appliance.node.failover_status import ServiceStatus, save
from appliance.node.handle import Node
from appliance.territory.model import Territory
from appliance.trust.grant import make_request
from appliance.trust.keys import load_key
from appliance_lab.processes.territory import ProcessTerritory
from tests.worlds.demo import INVENTORY, signed_territory

SERVICE, HOME, STANDBY, OTHER = "docs-a", "commune-a", "hermitage", "commune-b"
NEWER = "hermitage knows epoch 4 of docs-a, written by {writer}; ours is 2."


def plan(*, home: str = HOME, voters: bool = True) -> Territory:
    found = load_plan(INVENTORY)
    roles = {
        name: (*it.roles, "voter") if voters and name != "commune-c" else it.roles for name, it in found.nodes.items()
    }
    nodes = {name: replace(it, roles=roles[name]) for name, it in found.nodes.items()}
    docs = replace(found.services[SERVICE], node=home, standbys=(STANDBY,))
    return replace(found, nodes=nodes, services={**found.services, SERVICE: docs})


@pytest.fixture
def made(tmp_path: Path) -> ProcessTerritory:
    """docs-a was granted to commune-a, and both candidates have a program that serves it; nothing runs."""
    territory = signed_territory(tmp_path / "t", plan())
    for name in (HOME, STANDBY):
        (territory.open(name).layout.root / "programs.json").write_text(json.dumps({SERVICE: "sleep 1"}))
    node = territory.open(HOME)
    fields = {"service": SERVICE, "repository": "0" * 64, "writer": HOME, "known_epoch": 0, "reason": "a test"}
    request = make_request(load_key(node.signing_key), **fields)  # type: ignore[arg-type]
    chain_of(node, SERVICE).add_grant(node.bundle.granters.read(territory.grant(request, HOME)))
    return territory


def told(node: Node, *, holder: str | None, writer: str) -> None:
    """As failover told it in this boot."""
    boot = node.clock.boot_id()
    save(
        make_private_folder(node.layout.failover),
        ServiceStatus(SERVICE, boot, "STANDBY", "", "", holder=holder, writer=writer),
    )


def found(node: Node, writer: str) -> PeerIsAhead:
    """Return the finding of a comparison with a peer at `node` once `writer` was granted a newer epoch."""
    error = PeerIsAhead(NEWER.format(writer=writer), remedy=look_first(SERVICE), peer=STANDBY, writer=writer)
    with pytest.raises(PeerIsAhead) as caught, recorded(node, SERVICE):
        raise error
    return caught.value


def test_a_service_that_a_standby_serves_is_not_taken_from_it_without_its_name(made: ProcessTerritory) -> None:
    """The playbook asked the key holder for that grant: 8.5 minutes of writes to a database were lost."""
    node = made.open(HOME)
    told(node, holder=STANDBY, writer=STANDBY)
    with pytest.raises(Refused, match=r"hermitage serves docs-a now: .* lost") as refused:
        check_taking(node, SERVICE, "")
    assert "`appliance failover handback docs-a`" in refused.value.remedy
    assert check_taking(node, SERVICE, STANDBY) == STANDBY
    told(node, holder="", writer=STANDBY)
    assert check_taking(node, SERVICE, "") == "", "it has stopped"


def test_a_service_is_not_taken_from_who_was_granted_it_last_before_the_voters_were_heard(
    made: ProcessTerritory,
) -> None:
    """A machine that replaced its home asked before its failover had heard of anybody: nothing said who serves it."""
    node = made.open(HOME)
    check_heard(node, SERVICE, "")
    fields = {"service": SERVICE, "repository": "0" * 64, "writer": STANDBY, "known_epoch": 2, "reason": "a test"}
    request = make_request(load_key(made.open(STANDBY).signing_key), **fields)  # type: ignore[arg-type]
    chain_of(node, SERVICE).add_grant(node.bundle.granters.read(made.grant(request, STANDBY)))
    with pytest.raises(Refused, match=r"hermitage has the newest grant of docs-a, .* not known") as refused:
        check_heard(node, SERVICE, "")
    assert "--take-from hermitage" in refused.value.remedy
    told(node, holder=None, writer=STANDBY)
    with pytest.raises(Refused):
        check_heard(node, SERVICE, "")
    check_heard(node, SERVICE, STANDBY)
    told(node, holder="", writer=STANDBY)
    check_heard(node, SERVICE, "")


def test_a_lease_without_a_grant_serves_nothing_and_keeps_nobody_from_being_granted(made: ProcessTerritory) -> None:
    node = made.open(HOME)
    told(node, holder=STANDBY, writer=HOME)
    assert server_elsewhere(node, SERVICE) == ""
    assert check_taking(node, SERVICE, "") == ""


def test_a_home_whose_standby_went_on_is_told_of_the_handback_and_not_of_a_grant(made: ProcessTerritory) -> None:
    node = made.open(HOME)
    assert found(node, STANDBY).remedy == comes_back(node, SERVICE)
    stands = load(node, SERVICE)
    assert stands is not None
    assert "resync" not in stands.remedy


def test_a_home_that_gets_nothing_back_by_itself_is_told_to_ask_for_it(tmp_path: Path) -> None:
    """ "It is handed back automatically at night", said where territory.yml says `hand_back: never`."""
    node = signed_territory(tmp_path / "t", replace(plan(), hand_back="never")).open(HOME)
    said = comes_back(node, SERVICE)
    assert "automatically" not in said
    [step] = next_steps(Reason("warning", "hermitage writes it.", said, "grant"))
    assert step["argv"] == ["appliance", "failover", "handback", SERVICE]


def test_a_machine_with_new_keys_is_not_told_to_wait_while_it_serves_itself(made: ProcessTerritory) -> None:
    """ "Nothing to do while commune-a serves it", said at commune-a, which was granted it by its former keys."""
    said = continued_here(made.open(HOME), SERVICE, HOME)
    assert said == "Type `appliance backup resync docs-a --request docs-a.request`."


def test_another_history_in_this_nodes_own_name_is_looked_into_first(made: ProcessTerritory) -> None:
    assert found(made.open(HOME), "").remedy == look_first(SERVICE)


def test_a_service_that_moves_by_hand_alone_is_continued_as_before(made: ProcessTerritory) -> None:
    made.territory = plan(voters=False)
    made.sign()
    assert found(made.open(HOME), STANDBY).remedy == look_first(SERVICE)


def test_a_node_whose_service_was_given_away_is_well_and_asks_for_nothing(made: ProcessTerritory) -> None:
    """It was "failed" for ever, and what it printed took the service back."""
    made.territory = plan(home=OTHER)
    made.sign()
    node = made.open(HOME)
    [written] = [it for it in look(node).written if it.service == SERVICE]
    assert written.ours, "it writes on until the other one has continued it"
    assert found(node, OTHER).remedy == "Nothing to do here: territory.yml gives docs-a to commune-b."
    view = look(node)
    [written] = [it for it in view.written if it.service == SERVICE]
    assert (written.ours, written.given_to) == (False, OTHER)
    judged = judge_written(written, view, now_of(node))
    assert (judged.state, judged.reasons) == ("ok", ())
    assert "given to commune-b" in judged.summary
    with pytest.raises(Refused, match="neither the origin nor a standby of docs-a"):
        check_taking(node, SERVICE, "")


def look(node: Node) -> View:
    return Observer().look(node, now_of(node), Memory(), thorough=True)
